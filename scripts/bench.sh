#!/usr/bin/env bash
# Measures `tools/call echo`: step 4 (open), step 6 (with a token, its audit of accepted requests off and on) and step 8
# (its scopes looked at too, an authorization server in the same process) beside a bare axum handler that answers the same JSON and checks nothing (crates/mcp-core/benches/bare_axum.rs), and beside
# rmcp behind a plain jsonwebtoken check (crates/mcp-attack/examples/rmcp_plain.rs). Release builds, one after the other
# in short rounds, so that a busy moment of the machine hits all alike.
#
#   scripts/bench.sh [ROUNDS] [SECONDS]        default: 21 rounds of 2 seconds each
#
# Server and load generator have a core each, and the server's is the one that is busy: what is compared is what a core
# can serve, not how the two share the machine. Needs two cores, wrk (Debian: apt-get install wrk), taskset, curl, jq.
# Prints a table, and the median ratios as JSON on the last line.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-21} seconds=${2:-2} connections=32

for tool in wrk curl jq taskset; do
  command -v "$tool" >/dev/null || { echo "bench.sh needs $tool" >&2; exit 1; }
done

cargo build --quiet --release --bin step4 --bin step6 --bin step8 --bin gen-token
cargo build --quiet --release -p mcp-core --example bare_axum
cargo build --quiet --release -p mcp-attack --example rmcp_plain
target=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
servers=()
cleanup() {
  kill "${servers[@]}" 2>/dev/null || true
  wait "${servers[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

body='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello, world"}}}'
# script NAME: how wrk asks that server.
script() {
  cat <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
${authorization[$1]:+wrk.headers.Authorization = '${authorization[$1]}'}
wrk.body = '$body'
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
LUA
}

# A free port, as far as one can know before listening.
free_port() {
  local port
  while port=$((20000 + RANDOM % 20000)); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

declare -A port authorization
names=(bare step4 step6 step8 audited rmcp)
for name in "${names[@]}"; do port[$name]=$(free_port); done

# start NAME COMMAND…: starts a server and notes how long it took to answer.
start() {
  local name=$1 begun answer
  shift
  begun=$(now_ms)
  taskset -c 0 "$@" >"$work/$name.log" 2>&1 &
  servers+=($!)
  echo $! >"$work/$name.pid"
  until (: <>"/dev/tcp/127.0.0.1/${port[$name]}") 2>/dev/null; do :; done
  # What is measured has to be the answer.
  answer=$(curl -s "http://127.0.0.1:${port[$name]}/mcp" -H "Authorization: ${authorization[$name]:-}" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d "$body")
  echo $(($(now_ms) - begun)) >"$work/$name.ready"
  case $answer in
    *'hello, world'*) ;;
    *) echo "$name answers: $answer" >&2; cat "$work/$name.log" >&2; exit 1 ;;
  esac
  script "$name" >"$work/$name.lua"
}

memory() { awk -v key="$2:" '$1 == key { printf "%.1f", $2 / 1024 }' "/proc/$(cat "$work/$1.pid")/status"; }
median() { sort -g | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
column() { awk -v c="$2" '{ print $c }' "$work/$1.runs" | median; }

for name in step6 step8 audited rmcp; do
  authorization[$name]="Bearer $("$target/gen-token" --key-dir "$work/keys" --server "http://localhost:${port[$name]}" --raw)"
done
start bare "$target/examples/bare_axum" "${port[bare]}"
start step4 "$target/step4" --port "${port[step4]}"
start step6 "$target/step6" --port "${port[step6]}" --key-dir "$work/keys"
start step8 "$target/step8" --port "${port[step8]}" --key-dir "$work/keys"
start audited "$target/step6" --port "${port[audited]}" --key-dir "$work/keys" --audit-accepted
start rmcp "$target/examples/rmcp_plain" --port "${port[rmcp]}" --key-dir "$work/keys" \
  --issuer "http://localhost:${port[rmcp]}" --audience "http://localhost:${port[rmcp]}/mcp"
idle=$(memory step6 VmRSS)
idle8=$(memory step8 VmRSS)

run() { # run NAME SECONDS
  taskset -c 1 wrk -t1 -c"$connections" -d"$2"s -s "$work/$1.lua" "http://127.0.0.1:${port[$1]}/mcp" |
    awk '$1 == "RESULT" { $1 = ""; print }'
}
for name in "${names[@]}"; do run "$name" 1 >/dev/null; done
for ((round = 0; round < rounds; round++)); do
  # Each begins in turn: whatever one does to the next evens out.
  for ((i = 0; i < ${#names[@]}; i++)); do
    name=${names[(round + i) % ${#names[@]}]}
    run "$name" "$seconds" >>"$work/$name.runs"
  done
done

printf '%-8s %12s %10s %10s %8s %12s\n' server requests/s 'p50 us' 'p99 us' errors 'peak MiB'
for name in "${names[@]}"; do
  printf '%-8s %12.0f %10.0f %10.0f %8.0f %12s\n' "$name" "$(column "$name" 1)" "$(column "$name" 2)" "$(column "$name" 3)" \
    "$(awk '{ s += $4 } END { print s }' "$work/$name.runs")" "$(memory "$name" VmHWM)"
done
# ratio A B: of the two runs of each round, then the median of those.
ratio() { paste "$work/$1.runs" "$work/$2.runs" | awk '{ print $1 / $5 }' | median; }
jq -cn --argjson open "$(ratio step4 bare)" --argjson guard "$(ratio step6 step4)" --argjson guarded "$(ratio step6 bare)" \
  --argjson rmcp "$(ratio step6 rmcp)" --argjson audit "$(ratio audited step6)" \
  --argjson policy "$(ratio step8 step6)" --argjson idle8 "$idle8" \
  --argjson idle "$idle" --argjson peak "$(memory step6 VmHWM)" --argjson ready "$(cat "$work/step6.ready")" \
  '{step4_to_bare: $open, step6_to_step4: $guard, step6_to_bare: $guarded, step6_to_rmcp: $rmcp, audited_to_step6: $audit, step8_to_step6: $policy, step8_idle_mib: $idle8,
    step6_idle_mib: $idle, step6_peak_mib: $peak, step6_ready_ms: $ready}'
