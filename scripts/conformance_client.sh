#!/usr/bin/env bash
# The official conformance suite's part for clients that speak OAuth, against step 11: each auth scenario that a revision
# of MCP requires passes whole, and of the extensions' what scripts/conformance/client-extensions.yml lists with a reason
# fails, no more and no less.
#
# The suite is pinned in scripts/clients/ and needs Node >= 22 and npm. Its own results stay in target/conformance/.

# With --client it is the client: what the suite says of a scenario becomes options of step 11.
if [ "${1:-}" = --client ]; then
  set -euo pipefail
  context() { jq -r --arg name "$1" '.[$name] // empty' <<<"${MCP_CONFORMANCE_CONTEXT:-{\}}"; }
  args=(--headless --no-cache)
  for name in client_id issuer; do
    value=$(context "$name")
    [ -z "$value" ] || args+=("--${name/_/-}" "$value")
  done
  secret=$(context client_secret)
  if [ -n "$secret" ]; then
    export MCP_CLIENT_SECRET=$secret
    # A secret needs the issuer that knows it. Of some scenarios the suite does not say which; its own servers, on this
    # machine, are the only ones whose word is taken for it.
    case $(context issuer)/${*: -1} in
      /http://localhost:* | /http://127.0.0.1:*)
        server=${*: -1} origin=$(sed 's|^\(http://[^/]*\).*|\1|' <<<"${*: -1}")
        args+=(--issuer "$(curl -sf "$origin/.well-known/oauth-protected-resource${server#"$origin"}" | jq -er '.authorization_servers[0]')")
        ;;
    esac
  fi
  case $MCP_CONFORMANCE_SCENARIO in
    # The document that this scenario expects; nobody fetches it.
    auth/basic-cimd) args+=(--client-metadata-url https://conformance-test.local/client-metadata.json) ;;
    auth/client-credentials-*) args+=(--client-credentials) ;;
  esac
  exec "${CARGO_TARGET_DIR:-target}/debug/step11" "${args[@]}" --call test-tool "${@:2}"
fi

source "$(dirname "$0")/lib.sh"
source scripts/clients/install.sh
if [ -n "$no_inspector" ]; then
  skip 'conformance of the client' "$no_inspector"
  summary
  exit
fi
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
build step11

suite() { "$inspector_node" "$clients/node_modules/@modelcontextprotocol/conformance/dist/index.js" "$@"; }

# judge NAME BASELINE RESULTS SCENARIO: one scenario, by its checks.
judge() {
  local name=$1 baseline=$2 results=$3 scenario=$4 checks bad unlisted passed_checks
  checks=$(find "$results" -path "$results/$scenario-20*/checks.json")
  if [ -z "$checks" ]; then
    fail "$name $scenario" "no result; see $results/output.txt"
    return
  fi
  # A warning is what the client should do and does not.
  bad=$(jq -r --arg scenario "$scenario" '.[] | select(.status == "FAILURE" or .status == "WARNING") |
    ["\($scenario):\(.id)", "\(.status): \(.errorMessage // .description)"] | @tsv' "$checks")
  [ -z "$bad" ] || printf '%s\n' "$bad" >>"$work/failing"
  passed_checks=$(jq 'map(select(.status == "SUCCESS")) | length' "$checks")
  unlisted=$(awk -F '\t' 'FILENAME == ARGV[1] { listed[$1]; next } NF && !($1 in listed)' "$baseline" - <<<"$bad")
  if [ -n "$unlisted" ]; then
    fail "$name $scenario" "$unlisted"
  elif [ -n "$bad" ]; then
    printf '  known %s %s: %d failing, as in the baseline\n' "$name" "$scenario" "$(wc -l <<<"$bad")"
  elif [ "$passed_checks" -eq 0 ]; then
    fail "$name $scenario" 'nothing was checked'
  else
    ok "$name $scenario ($passed_checks checks)"
  fi
}

# conform NAME BASELINE SCENARIOS SUITE ARGS…: each scenario by itself, so that what one leaves behind is not another's.
conform() {
  local name=$1 baseline=$2 scenarios=$3 scenario results=$target/conformance/client-${1// /-}
  shift 3
  rm -rf "$results"
  mkdir -p "$results"
  sed -n 's/^ *- *\([^ ]*\).*/\1/p' "$baseline" >"$work/listed"
  : >"$work/failing"
  [ -n "$scenarios" ] || fail "$name" 'the suite lists no scenario'
  for scenario in $scenarios; do
    # Its verdict is the checks'; it also counts a client that exits with an error where that is right.
    suite client --command "$PWD/scripts/conformance_client.sh --client" --scenario "$scenario" -o "$results" "$@" \
      >>"$results/output.txt" 2>&1 || true
    judge "$name" "$work/listed" "$results" "$scenario"
  done
  same "$name: the baseline has no entry that does not fail" '' \
    "$(awk -F '\t' 'FILENAME == ARGV[1] { failing[$1]; next } !($1 in failing)' "$work/failing" "$work/listed")"
}

# required REVISION: the frozen set, as far as it is about authorization.
required() { suite list --client --requirements "$1" | sed -n '/^Client scenarios/,/^$/s/^  - \(auth\/[^ ]*\).*/\1/p'; }

: >"$work/none"
for revision in 2025-11-25 2026-07-28; do
  conform "client $revision" "$work/none" "$(required "$revision")" --spec-version "$revision"
done
# What a revision lists and does not score is what extensions ask for.
extensions=$(suite list --client --requirements 2026-07-28 | sed -n '/^  extension/,/^  [a-z]/s/^    - \(auth\/[^ ]*\) \[client\]$/\1/p')
conform 'client extensions' scripts/conformance/client-extensions.yml "$extensions"
summary
