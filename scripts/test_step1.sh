#!/usr/bin/env bash
# Step 1: a server that says it is healthy, where it listens, and why it cannot.
source "$(dirname "$0")/lib.sh"
build step1
start_server step1

health=$(curl -s -w ' %{http_code} %{content_type}' "$base/health")
same 'GET /health is 200 with {"status":"healthy"}' '{"status":"healthy"} 200 application/json' "$health"
same 'it answers on 127.0.0.1' 200 "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health")"
if [ -e /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6; then
  same 'and on ::1, which clients may try first' 200 "$(curl -s -o /dev/null -w '%{http_code}' "http://[::1]:$port/health")"
else
  skip 'it answers on ::1' 'this machine has no IPv6 loopback; turn on net.ipv6.conf.lo'
fi
same 'any other path is 404' 404 "$(curl -s -o /dev/null -w '%{http_code}' "$base/mcp")"
same 'POST /health is 405' 405 "$(curl -s -o /dev/null -w '%{http_code}' -X POST "$base/health")"

# exits NAME CODE SENTENCE COMMAND…
exits() {
  local name=$1 code=$2 sentence=$3 got=0
  shift 3
  "$@" >"$work/out" 2>&1 || got=$?
  same "$name: exit $code" "$code" "$got"
  same "$name: one clear sentence" "$sentence" "$(cat "$work/out")"
}
# Also for people who have asked for backtraces.
export RUST_BACKTRACE=1
exits 'a port in use' 1 \
  "error: port $port is in use; stop the program that has it, or choose another with --port" \
  "$target/debug/step1" --port "$port"
exits 'an address of another machine' 1 \
  'error: 192.0.2.77 is not an address of this machine; choose another with --host' \
  "$target/debug/step1" --host 192.0.2.77 --port 0

for signal in TERM INT; do
  start_server step1
  # An idle connection must not keep the server from stopping.
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  kill -"$signal" "$server_pid"
  code=0
  wait "$server_pid" || code=$?
  exec 3>&-
  same "SIG$signal stops it with exit 0" 0 "$code"
done
summary
