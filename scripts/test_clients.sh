#!/usr/bin/env bash
# The published official clients, in each of their modes, by both names of this machine: what they are for works.
# A server that wants a token (step 6 and on) is sent a good one, then none, then a stranger's. To the last two each
# client says "unauthorized" in its own way, which a server that is not there, or lets everybody in, never makes it say.
#
#   scripts/test_clients.sh [--bin step4] [SERVER ARGS…]
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
# What the drivers are told; see checks.mjs.
export MCP_TOKEN='' MCP_SUBJECT='' MCP_TOOLS='add echo get_time multiply'
stranger=''
case $bin in
  step[1-5]) start_server "$bin" "$@" ;;
  *)
    build gen-token
    # gen_token KEYS [ARGS…]
    gen_token() { "$target/debug/gen-token" --key-dir "$work/$1" --alg ES256 "${@:2}"; }
    # Before the server, which looks for new keys only now and then.
    gen_token keys --generate-keys >/dev/null
    start_server "$bin" --key-dir "$work/keys" "$@"
    MCP_TOKEN=$(gen_token keys --server "http://localhost:$port" --username alice --raw)
    MCP_SUBJECT=alice MCP_TOOLS+=' whoami'
    stranger=$(gen_token other --server "http://localhost:$port" --username alice --raw)
    ;;
esac
# A proxy for the world outside has no way to this server.
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1

# all_clients [NAME]: runs every driver in each of its modes; with a name, as those who are to be refused.
all_clients() {
  local refused=${1:-}
  drive sdk_v1.mjs "$no_npm" node legacy
  drive client_v2.mjs "$no_npm" node legacy auto pinned
  drive mcp_client.py "$no_pip" "$venv_python" legacy auto pinned
  drive fastmcp_client.py "$no_pip" "$venv_python" legacy auto pinned
  drive inspector.mjs "$no_inspector" "$inspector_node" legacy modern
}

# drive DRIVER MISSING RUNTIME MODE…: runs a driver in every mode, $refused or not; skips it if something is missing.
drive() {
  local driver=$1 missing=$2 runtime=$3 mode host name="clients/${1%.*}"
  shift 3
  if [ -n "$missing" ]; then
    skip "$name${refused:+ $refused}" "$missing"
    return
  fi
  for mode in "$@"; do
    if [ -n "$refused" ]; then
      driven "$name $mode $refused" "$runtime" "$clients/$driver" "http://localhost:$port/mcp" "$mode" refused
    else
      for host in localhost 127.0.0.1; do
        driven "$name $mode $host" "$runtime" "$clients/$driver" "http://$host:$port/mcp" "$mode"
      done
    fi
  done
}

all_clients
if [ -n "$stranger" ]; then
  MCP_TOKEN='' all_clients 'without a token'
  MCP_TOKEN=$stranger all_clients "with a stranger's token"
fi
summary
