# Sourced by the test scripts: counting, and servers that are always cleaned up.
#
#   ok NAME | fail NAME [DETAIL] | skip NAME REASON      one line each, counted
#   same NAME EXPECTED ACTUAL                            ok if they are equal
#   build BIN…                                           builds binaries of the workspace (debug)
#   start_server BIN [ARGS…]                             sets $port, $base, $server_pid, $server_log
#   start_program NAME COMMAND…                          the same for any command that says where it listens
#   at_exit COMMAND                                      run at the end, whatever happens
#   post BODY [CURL ARGS…]                               POSTs to $base/mcp; sets $status, $body, $head
#   driven NAME COMMAND…                                 runs a driver, which prints `ok - NAME` and `not ok - NAME`
#   judged NAME CODE OUT ERR                             counts what a driver has printed, and how it exited
#   summary                                              the closing line; fails if anything failed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
passed=0 failed=0 skipped=0
work=$(mktemp -d)
servers=()
endings=()

# Runs on every exit, also after an error or Ctrl-C: no server and no file outlives the test.
cleanup() {
  local pid n
  # The last first, as things were built up.
  for ((n = ${#endings[@]} - 1; n >= 0; n--)); do eval "${endings[n]}" || true; done
  # Each is a process group of its own: a server may be the child of a shell.
  for pid in ${servers[@]+"${servers[@]}"}; do kill -- "-$pid" 2>/dev/null || true; done
  for pid in ${servers[@]+"${servers[@]}"}; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

at_exit() { endings+=("$1"); }

for tool in cargo curl jq; do
  command -v "$tool" >/dev/null || { echo "$0 needs $tool" >&2; exit 1; }
done

ok() { passed=$((passed + 1)); printf '  ok    %s\n' "$1"; }
fail() {
  failed=$((failed + 1))
  printf '  FAIL  %s\n' "$1"
  [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/        /'
}
skip() { skipped=$((skipped + 1)); printf '  SKIP  %s: %s\n' "$1" "$2"; }
same() {
  if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "expected: $2"$'\n'"got:      $3"; fi
}
driven() {
  local name=$1 code=0
  shift
  "$@" >"$work/out" 2>"$work/err" || code=$?
  judged "$name" "$code" "$work/out" "$work/err"
}
judged() {
  local name=$1 code=$2 line red=0
  while IFS= read -r line; do
    case $line in
      'ok - '*) ok "$name ${line#ok - }" ;;
      'not ok - '*)
        red=1
        fail "$name ${line#not ok - }"
        ;;
    esac
  done <"$3"
  # A driver that died has not said so itself.
  if [ "$code" -ne 0 ] && [ "$red" -eq 0 ] || [ ! -s "$3" ]; then
    fail "$name exits with $code" "$(tail -n 20 "$4")"
  fi
}
summary() {
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" -eq 0 ]
}

build() {
  local bin flags=()
  for bin in "$@"; do flags+=(--bin "$bin"); done
  cargo build --quiet "${flags[@]}"
}

start_server() {
  local bin=$1
  shift
  start_program "$bin" "$target/debug/$bin" --port 0 "$@"
}

# start_program NAME COMMAND…: any server that says `listening on http://HOST:PORT`.
start_program() {
  local name=$1 tries
  shift
  server_log="$work/$name.$RANDOM.log"
  # Here, since the server's own redirection may come after the first look at it.
  : >"$server_log"
  set -m
  "$@" >"$server_log" 2>&1 &
  set +m
  server_pid=$!
  servers+=("$server_pid")
  for ((tries = 0; tries < 200; tries++)); do
    # Text or JSON, the URL reads the same.
    base=$(sed -n 's/.*listening on \(http:[^ "]*:[0-9][0-9]*\).*/\1/p' "$server_log")
    if [ -n "$base" ]; then
      port=${base##*:}
      return
    fi
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.05
  done
  echo "$name did not start:" >&2
  cat "$server_log" >&2
  exit 1
}

post() {
  local data=$1
  shift
  status=$(curl -s -o "$work/body" -D "$work/head" -w '%{http_code}' "$base/mcp" \
    -H 'Content-Type: application/json' -d "$data" "$@")
  body=$(cat "$work/body")
  head=$(tr -d '\r' <"$work/head")
}

# request METHOD [PARAMS]: the body of a JSON-RPC request.
request() { jq -cn --arg method "$1" --argjson params "${2:-{\}}" '{jsonrpc: "2.0", id: 1, method: $method, params: $params}'; }
