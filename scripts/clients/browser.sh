#!/usr/bin/env bash
# A browser with a person before it, for clients that open one and wait at their callback URL.
#
#   browser.sh URL      the environment is person.sh's; MCP_PERSON, if set, is another program that plays the same
set -euo pipefail
callback=$("${MCP_PERSON:-$(dirname "$0")/person.sh}" "$1")
# The client may begin to listen only after it has opened the browser.
curl -sS -o /dev/null --max-time 30 --retry 50 --retry-connrefused --retry-delay 1 "$callback"
