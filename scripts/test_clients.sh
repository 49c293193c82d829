#!/usr/bin/env bash
# The published official clients, in each of their modes, by both names of this machine: what they are for works.
#
#   scripts/test_clients.sh [--bin step4] [SERVER ARGS…]
#   MCP_TOKEN=… scripts/test_clients.sh …      every client sends this bearer token
#
# Needs node, npm and python3; a client that cannot be installed is skipped by name. Pins: scripts/clients/.
source "$(dirname "$0")/lib.sh"
bin=step4
if [ "${1:-}" = --bin ]; then
  bin=$2
  shift 2
fi
build "$bin"
source scripts/clients/install.sh
start_server "$bin" "$@"
# A proxy for the world outside has no way to this server.
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1

# drive DRIVER MISSING RUNTIME MODE…: runs a driver in every mode, or skips it if something is missing.
drive() {
  local driver=$1 missing=$2 runtime=$3 mode host
  shift 3
  if [ -n "$missing" ]; then
    skip "clients/${driver%.*}" "$missing"
    return
  fi
  for mode in "$@"; do
    for host in localhost 127.0.0.1; do
      run "clients/${driver%.*} $mode $host" "$runtime" "$clients/$driver" "http://$host:$port/mcp" "$mode"
    done
  done
}

run() {
  local name=$1 line code=0 red=0
  shift
  "$@" >"$work/out" 2>"$work/err" || code=$?
  while IFS= read -r line; do
    case $line in
      'ok - '*) ok "$name ${line#ok - }" ;;
      'not ok - '*)
        red=1
        fail "$name ${line#not ok - }"
        ;;
    esac
  done <"$work/out"
  # A driver that died has not said so itself.
  if [ "$code" -ne 0 ] && [ "$red" -eq 0 ] || [ ! -s "$work/out" ]; then
    fail "$name exits with $code" "$(tail -n 20 "$work/err")"
  fi
}

drive sdk_v1.mjs "$no_npm" node legacy
drive client_v2.mjs "$no_npm" node legacy auto pinned
drive mcp_client.py "$no_pip" "$venv_python" legacy auto pinned
drive fastmcp_client.py "$no_pip" "$venv_python" legacy auto pinned
drive inspector.mjs "$no_inspector" "$inspector_node" legacy modern
summary
