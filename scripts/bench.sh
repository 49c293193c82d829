#!/usr/bin/env bash
# Measures step 4 against a bare axum handler that answers the same JSON (crates/mcp-core/benches/bare_axum.rs):
# release builds, one after the other in short rounds, so that a busy moment of the machine hits both alike.
#
#   scripts/bench.sh [ROUNDS] [SECONDS]        default: 21 rounds of 2 seconds each
#
# Server and load generator have a core each, and the server's is the one that is busy: what is compared is what a core
# can serve, not how the two share the machine. Needs two cores, wrk (Debian: apt-get install wrk), taskset, curl, jq.
# Prints a table, and the medians as JSON on the last line.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-21} seconds=${2:-2} connections=32

for tool in wrk curl jq taskset; do
  command -v "$tool" >/dev/null || { echo "bench.sh needs $tool" >&2; exit 1; }
done

cargo build --quiet --release --bin step4
cargo build --quiet --release -p mcp-core --example bare_axum
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
cat >"$work/post.lua" <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.body = '$body'
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %f %f %f %d\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
LUA

# A free port, as far as one can know before listening.
free_port() {
  local port
  while port=$((20000 + RANDOM % 20000)); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
answers() { curl -sf -o /dev/null "http://127.0.0.1:$1/mcp" -H 'Content-Type: application/json' -d "$body"; }

# start NAME PORT COMMAND…: starts a server and notes how long it took to answer.
start() {
  local name=$1 port=$2 begun
  shift 2
  begun=$(now_ms)
  taskset -c 0 "$@" >"$work/$name.log" 2>&1 &
  servers+=($!)
  echo $! >"$work/$name.pid"
  until (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  answers "$port" || { cat "$work/$name.log" >&2; exit 1; }
  echo $(($(now_ms) - begun)) >"$work/$name.ready"
}

memory() { awk -v key="$2:" '$1 == key { printf "%.1f", $2 / 1024 }' "/proc/$(cat "$work/$1.pid")/status"; }
median() { sort -g | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
column() { awk -v c="$2" '{ print $c }' "$work/$1.runs" | median; }

bare_port=$(free_port)
step_port=$(free_port)
start bare "$bare_port" "$target/examples/bare_axum" "$bare_port"
start step4 "$step_port" "$target/step4" --port "$step_port"
idle=$(memory step4 VmRSS)

run() { # run NAME PORT SECONDS
  taskset -c 1 wrk -t1 -c"$connections" -d"$3"s -s "$work/post.lua" "http://127.0.0.1:$2/mcp" | awk '$1 == "RESULT" { $1 = ""; print }'
}
run bare "$bare_port" 1 >/dev/null
run step4 "$step_port" 1 >/dev/null
for ((round = 1; round <= rounds; round++)); do
  # Turns in alternating order: whatever the first does to the second evens out.
  order="bare step4"
  ((round % 2)) || order="step4 bare"
  for name in $order; do
    port=$bare_port
    [ "$name" = bare ] || port=$step_port
    run "$name" "$port" "$seconds" >>"$work/$name.runs"
  done
done

printf '%-8s %12s %10s %10s %8s %12s\n' server requests/s 'p50 us' 'p99 us' errors 'peak MiB'
for name in bare step4; do
  printf '%-8s %12.0f %10.0f %10.0f %8.0f %12s\n' "$name" "$(column $name 1)" "$(column $name 2)" "$(column $name 3)" \
    "$(awk '{ s += $4 } END { print s }' "$work/$name.runs")" "$(memory $name VmHWM)"
done
# The ratio of each pair of neighbours in time, then the median of those.
ratio=$(paste "$work/step4.runs" "$work/bare.runs" | awk '{ print $1 / $5 }' | median)
jq -cn --argjson ratio "$ratio" --argjson idle "$idle" --argjson peak "$(memory step4 VmHWM)" \
  --argjson ready "$(cat "$work/step4.ready")" --argjson p99 "$(column step4 3)" \
  '{ratio: $ratio, idle_mib: $idle, peak_mib: $peak, ready_ms: $ready, p99_us: $p99}'
