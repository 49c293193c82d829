#!/usr/bin/env bash
# Forged tokens and bent requests (crates/mcp-attack) against our servers, which must let nothing through, and two that
# check tokens the way people usually do, of which it tells what they let through. Step 7 issues its tokens itself: what
# a stranger can try against that comes second.
#
#   scripts/attack.sh [--full] [--bin step6] [SERVER ARGS…]
#
# rmcp_plain is crates/mcp-attack/examples/rmcp_plain.rs; --full adds FastMCP (scripts/attack/fastmcp_server.py), whose
# version is pinned in scripts/clients/. The reports stay in target/attack/, the last lines are a table for README.
source "$(dirname "$0")/lib.sh"
full=false bin=step6
while true; do
  case "${1:-}" in
    --full) full=true; shift ;;
    --bin) bin=$2; shift 2 ;;
    *) break ;;
  esac
done
build "$bin" step7 gen-token
cargo build --quiet -p mcp-attack --bin mcp-attack --example rmcp_plain
# A proxy for the world outside has no way to these servers.
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
reports=$target/attack
mkdir -p "$reports"

# A key for each algorithm, and two for RS256: some rows are about the other keys. The last one signs.
keys=$work/keys
for alg in EdDSA ES256 PS256 RS256 RS256; do
  "$target/debug/gen-token" --key-dir "$keys" --generate-keys --alg "$alg" >/dev/null
done
issuer=http://localhost:9000 audience=http://localhost:9000/mcp

# attack SERVER [ARGS…]: every row against $base; sets $report and $code.
attack() {
  local server=$1
  shift
  report=$reports/$server.json code=0
  "$target/debug/mcp-attack" --url "$base/mcp" --key-dir "$keys" --alg RS256 --format json "$@" \
    >"$report" 2>"$work/err" || code=$?
}
counts() { jq -r '.counts | "\(.refused) refused, \(.let_through) let through, \(.errors) errors, \(.not_run) not run"' "$report"; }
verdict() { jq -r --arg id "$1" '.rows[] | select(.id == $id) | .verdict' "$report"; }
# What was not refused, with what happened.
findings() { jq -r '.rows[] | select(.verdict == "let-through" or .verdict == "error") | "\(.id): \(.did)"' "$report"; }

# ours NAME [SERVER ARGS…]: nothing gets through, and nothing is left out but what has nothing to try.
ours() {
  local name=$1
  shift
  start_server "$bin" --key-dir "$keys" "$@"
  attack "$name" --leeway 30
  same "$name: exit code" 0 "$code"
  if [ ! -s "$report" ]; then
    fail "$name: the rows" "$(cat "$work/err")"
    return
  fi
  same "$name: nothing gets through, and nothing makes it fail" '' "$(findings)"
  same "$name: every row is run, but those about sessions if it opens none" '' \
    "$(jq -r '.rows[] | select(.verdict == "not-run" and .needs != "a server that opens sessions") | .id' "$report")"
  echo "        $(counts)"
  rows+=("$name")
}

# issuer NAME: the running server issues tokens too; what a stranger tries against that gets nowhere either.
issuer() {
  local name=$1
  report=$reports/$name.json code=0
  "$target/debug/mcp-attack" --authorization-server "$base" --resource "$base/mcp" --format json \
    >"$report" 2>"$work/err" || code=$?
  same "$name: exit code" 0 "$code"
  if [ ! -s "$report" ]; then
    fail "$name: the rows" "$(cat "$work/err")"
    return
  fi
  same "$name: nothing gets through, and nothing makes it fail" '' "$(findings)"
  # There is no https to leave.
  same "$name: every row is run, but the one about https" cookie-plain \
    "$(jq -r '.rows[] | select(.verdict == "not-run") | .id' "$report")"
  echo "        $(counts)"
  issuers+=("$name")
}

# theirs NAME: it accepts the good token and refuses none and garbage; what else it does is told, not judged.
theirs() {
  local name=$1
  attack "$name" --issuer "$issuer" --audience "$audience"
  if [ "$code" -gt 1 ] || [ ! -s "$report" ]; then
    fail "$name: the good token is accepted" "$(cat "$work/err")"
    return
  fi
  ok "$name: the good token is accepted"
  for id in no-credential garbage stranger-our-kid; do same "$name: refuses $id" refused "$(verdict "$id")"; done
  same "$name: still serves afterwards" true "$(jq .still_serves "$report")"
  echo "        $(counts)"
  rows+=("$name")
}

rows=() issuers=()
ours "$bin" "$@"
ours "$bin-agent-session" --agent-session "$@"
[ "$bin" = step7 ] || bin=step7 ours step7
issuer step7-issuer

start_program rmcp_plain "$target/debug/examples/rmcp_plain" --key-dir "$keys" --issuer "$issuer" --audience "$audience"
theirs rmcp_plain

if ! $full; then
  skip fastmcp 'scripts/attack.sh --full runs it'
else
  source scripts/clients/install.sh
  if [ -n "$no_pip" ]; then
    skip fastmcp "$no_pip"
  else
    start_program fastmcp "$venv_python" scripts/attack/fastmcp_server.py --key-dir "$keys" --issuer "$issuer" --audience "$audience"
    theirs fastmcp
  fi
fi

table() {
  local name
  printf '\n| %s | refused | breaches | laxities | errors | not run |\n|---|---|---|---|---|---|\n' "$1"
  shift
  for name in "$@"; do
    jq -r --arg name "$name" '[$name, .counts.refused, (.breaches | length), (.laxities | length), .counts.errors,
      .counts.not_run] | map(tostring) | "| " + join(" | ") + " |"' "$reports/$name.json"
  done
}
table server ${rows[@]+"${rows[@]}"}
table 'authorization server' ${issuers[@]+"${issuers[@]}"}
for name in ${rows[@]+"${rows[@]}"} ${issuers[@]+"${issuers[@]}"}; do
  for kind in breaches laxities errors; do
    ids=$(jq -r --arg kind "$kind" 'if $kind == "errors" then [.rows[] | select(.verdict == "error") | .id] else .[$kind] end | join(" ")' \
      "$reports/$name.json")
    [ -z "$ids" ] || printf '\n%s, %s: %s\n' "$name" "$kind" "$ids"
  done
done
echo
summary
