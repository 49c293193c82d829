# Sourced by keycloak.sh and proxy.sh: a program in the background, which is found again and ended, and nobody else's.
#
#   say TEXT | die TEXT | usage TEXT          to stderr; exit 1; exit 2 with the usage
#   port_number OPTION N                      or usage
#   recorded NAME | record NAME=VALUE…        what runs, in $state/running
#   began PID | alive                         is the recorded pid still the process that was started?
#   lock                                      one start or stop at a time
#   listening HOST                            does anybody, at $port?
#   free_port                                 or die
#   detached COMMAND…                         into $log; sets $pid
#   ended                                     what is recorded, which is alive

program=${0##*/}
say() { printf '%s\n' "$*" >&2; }
die() {
  say "$program: $*"
  exit 1
}
# The usage is what the comment at the top of the script says, up to its first paragraph that is none.
usage() {
  say "$program: $*"
  sed -n '/^#   /s/^#   //p' "$0" >&2
  exit 2
}
port_number() {
  if ! [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || [ "$2" -gt 65535 ]; then usage "$1 $2 is not between 1 and 65535"; fi
}

recorded() { [ ! -f "$state/running" ] || sed -n "s/^$1=//p" "$state/running" | head -n 1; }
# Whole or not at all: status may look at any moment.
record() {
  printf '%s\n' "$@" >"$state/running.new"
  mv "$state/running.new" "$state/running"
}
# When a process began: a pid alone may have become somebody else's.
began() {
  if [ -r "/proc/$1/stat" ]; then
    # After the name in parentheses, which may hold anything; the 22nd of all.
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
  else
    LC_ALL=C ps -o lstart= -p "$1" 2>/dev/null || true
  fi
}
alive() {
  local pid
  pid=$(recorded pid)
  [[ $pid =~ ^[1-9][0-9]*$ ]] && kill -0 "$pid" 2>/dev/null && [ "$(began "$pid")" = "$(recorded began)" ]
}
# A second start waits for the first, and then finds it running.
lock() {
  mkdir -p "$state" || die "$state cannot be made"
  if command -v flock >/dev/null; then
    exec 9>"$state/lock"
    flock -w 600 9 || die "another start or stop holds $state/lock"
  fi
}
listening() { (exec 3<>"/dev/tcp/$1/$port") 2>/dev/null; }
free_port() {
  if listening 127.0.0.1 || listening ::1; then die "port $port is in use by another program; stop that, or choose another --port"; fi
}
# In a session of its own, so that it outlives the script and its terminal.
detached() {
  if command -v setsid >/dev/null; then
    setsid "$@" </dev/null >"$log" 2>&1 9>&- &
    pid=$!
  else
    set -m
    nohup "$@" </dev/null >"$log" 2>&1 9>&- &
    pid=$!
    set +m
  fi
}
# TERM, and after ten seconds KILL, to the whole group. It is gone when this returns.
ended() {
  local tries
  kill -TERM "$(recorded pid)" 2>/dev/null || true
  for ((tries = 0; tries < 200; tries++)); do
    alive || return 0
    if [ $tries -eq 100 ]; then kill -KILL -- "-$(recorded group)" 2>/dev/null || true; fi
    sleep 0.1
  done
  die "$(recorded pid) cannot be ended"
}
