#!/usr/bin/env bash
# Keycloak for trying things out on this machine, with the realms of keycloak/*.json. Loopback only, and with a password
# that everybody knows (admin/admin): nothing for a network.
#
#   scripts/keycloak.sh start [--proxy] [--no-download] [OPTIONS]   returns when the realms answer
#   scripts/keycloak.sh stop|status|reset [OPTIONS]                 reset: the realms are imported anew at the next start
#   scripts/keycloak.sh logs [-f] [OPTIONS]
#
#   --proxy           published as http://localhost:9090, for scripts/proxy.sh in front of it
#   --hostname URL    published as this URL; without either, http://localhost:PORT
#   --port N          8080
#   --state DIR       pid, log and database, so that several run side by side ($XDG_STATE_HOME/mcp-keycloak)
#   --realm-file F    this realm instead of those of keycloak/; may be repeated
#   --deadline SECS   how long a start may take (240)
#   --no-download     exit 3 instead of fetching 170 MB
#
# Which Keycloak: an unpacked distribution that KEYCLOAK_HOME names (never written to); else Docker, when an engine
# answers; else the official distribution through Maven (from KEYCLOAK_MAVEN_REPO, ~/.m2/repository), kept unpacked in
# $XDG_CACHE_HOME/mcp-keycloak and run by JAVA_HOME's Java, or the one on PATH.
# Exit codes: 0; 1 it failed, or it is not running (status); 2 usage; 3 see --no-download.
set -euo pipefail
version=26.7.4
image=quay.io/keycloak/keycloak:$version
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Half a gigabyte resident instead of 620 MB, and a faster start: it serves one person, not for weeks.
heap='-Xms64m -Xmx384m'
compiler='-XX:TieredStopAtLevel=1'

say() { printf '%s\n' "$*" >&2; }
die() {
  say "keycloak.sh: $*"
  exit 1
}
usage() {
  say "keycloak.sh: $*"
  sed -n '5,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

[ $# -gt 0 ] || usage 'what shall it do?'
action=$1
shift
case $action in
  start | stop | status | logs | reset) ;;
  *) usage "there is no $action" ;;
esac
port=8080 hostname='' state=${XDG_STATE_HOME:-$HOME/.local/state}/mcp-keycloak realm_files=() deadline=240
download=true follow=false
number() {
  if ! [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || [ "$2" -gt 65535 ]; then usage "$1 $2 is not between 1 and 65535"; fi
}
while [ $# -gt 0 ]; do
  case $1 in
    --hostname | --port | --state | --realm-file | --deadline) [ -n "${2:-}" ] || usage "$1 needs a value" ;;
  esac
  case $1 in
    --proxy) hostname=http://localhost:9090 ;;
    --hostname) hostname=${2%/} && shift ;;
    --port) number "$1" "$2" && port=$((10#$2)) && shift ;;
    --state) state=$2 && shift ;;
    --realm-file) realm_files+=("$2") && shift ;;
    --deadline) number "$1" "$2" && deadline=$2 && shift ;;
    --no-download) download=false ;;
    -f) [ "$action" = logs ] || usage "-f is for logs" && follow=true ;;
    *) usage "unknown option $1" ;;
  esac
  shift
done
hostname=${hostname:-http://localhost:$port}
[[ $hostname =~ ^https?://[^/?#[:space:]]+(/[^?#[:space:]]*)?$ ]] || usage "--hostname $hostname is no http(s) URL"
[ ${#realm_files[@]} -gt 0 ] || realm_files=("$here"/keycloak/mcp-realm*.json)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-keycloak
case $state in /*) ;; *) state=$PWD/$state ;; esac
# What runs, as `name=value` lines; the log; and a Keycloak of its own, which is links to the distribution, its own
# configuration, and the database.
record=$state/running log=$state/keycloak.log server=$state/server

recorded() { [ ! -f "$record" ] || sed -n "s/^$1=//p" "$record" | head -n 1; }
# When a process began: a pid alone may have become somebody else's.
began() {
  if [ -r "/proc/$1/stat" ]; then
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
  else
    LC_ALL=C ps -o lstart= -p "$1" 2>/dev/null
  fi
}
# ours: what the record says runs does, and is what was started.
ours() {
  local pid
  case $(recorded how) in
    docker) [ "$(docker inspect -f '{{.State.Running}} {{index .Config.Labels "mcp-keycloak.state"}}' "$(recorded container)" 2>/dev/null)" = "true $state" ] ;;
    java)
      pid=$(recorded pid)
      [[ $pid =~ ^[1-9][0-9]*$ ]] && [ -n "$(recorded began)" ] && [ "$(began "$pid")" = "$(recorded began)" ]
      ;;
    *) return 1 ;;
  esac
}
# One at a time: a second start waits for the first, and then finds it running.
lock() {
  mkdir -p "$state" || die "$state cannot be made"
  if command -v flock >/dev/null; then
    exec 9>"$state/lock"
    flock -w "$deadline" 9 || die "another start or stop holds $state/lock"
  fi
}

report() {
  local what
  case $(recorded how) in
    docker) what="container $(recorded container)" ;;
    *) what="pid $(recorded pid)" ;;
  esac
  echo "$(recorded hostname) (port $(recorded port)): Keycloak $(recorded version), $what, from $(recorded from)"
}

listening() { (exec 3<>"/dev/tcp/$1/$port") 2>/dev/null; }

# ---- which Keycloak

find_java() {
  local found major
  if [ -n "${JAVA_HOME:-}" ]; then
    java=$JAVA_HOME/bin/java
    [ -x "$java" ] || die "JAVA_HOME is $JAVA_HOME, and there is no bin/java in it"
  else
    java=$(command -v java) || die "Keycloak needs Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless), or a running Docker engine"
  fi
  found=$("$java" -version 2>&1) || die "$java does not run: $found"
  # "17.0.15", "25" and, up to Java 8, "1.8.0_402".
  major=$(sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9][0-9]*\).*/\2/p' <<<"$found" | head -n 1)
  [ -n "$major" ] || die "$java does not say its version: $found"
  [ "$major" -ge 17 ] || die "Keycloak $version needs Java 17 or newer; $java is Java $major (JAVA_HOME chooses another)"
}
sha1() {
  if command -v sha1sum >/dev/null; then sha1sum <"$1"; else shasum <"$1"; fi | cut -c1-40
}
# The distribution, from Maven's repository into the cache. Unpacked beside its place and moved there: a run that is
# interrupted leaves nothing half done.
fetch() {
  local repo=${KEYCLOAK_MAVEN_REPO:-$HOME/.m2/repository} archive expected quiet=(-q) partial
  home=$cache/keycloak-$version
  [ ! -f "$home/bin/kc.sh" ] || return 0
  archive=$repo/org/keycloak/keycloak-quarkus-dist/$version/keycloak-quarkus-dist-$version.tar.gz
  if [ ! -f "$archive" ] || [ ! -f "$archive.sha1" ]; then
    $download || { say "keycloak.sh: Keycloak $version would have to be downloaded (170 MB), and --no-download forbids it"; exit 3; }
    command -v mvn >/dev/null || die "no Keycloak here. Install one of: Docker; Maven (Debian: apt-get install maven); or unpack Keycloak $version and set KEYCLOAK_HOME"
    say "downloading Keycloak $version through Maven (170 MB)"
    [ ! -t 2 ] || quiet=()
    # Maven's own progress goes to stdout. -C: a checksum that is wrong is no warning.
    mvn ${quiet[@]+"${quiet[@]}"} -C -Dmaven.repo.local="$repo" dependency:get -Dtransitive=false \
      -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:tar.gz" >&2 || die "Maven could not fetch Keycloak $version"
  fi
  expected=$(grep -Eo '^[0-9a-fA-F]{40}' "$archive.sha1" | tr 'A-F' 'a-f') || die "$archive.sha1 holds no checksum; delete it"
  [ "$(sha1 "$archive")" = "$expected" ] || die "$archive is not what its .sha1 says; delete it and start again"
  say "unpacking Keycloak $version into $home"
  mkdir -p "$cache"
  partial=$(mktemp -d "$cache/partial.XXXXXX")
  tar -xzf "$archive" -C "$partial" || { rm -rf "$partial"; die "$archive cannot be unpacked"; }
  # Somebody else may have been faster.
  mv "$partial/keycloak-$version" "$home" 2>/dev/null || [ -f "$home/bin/kc.sh" ] || die "$home cannot be made"
  rm -rf "$partial"
}
choose() {
  local file
  if [ -n "${KEYCLOAK_HOME:-}" ]; then
    home=$(cd "$KEYCLOAK_HOME" 2>/dev/null && pwd) || die "KEYCLOAK_HOME is $KEYCLOAK_HOME, which is no directory"
    for file in bin/kc.sh lib/quarkus-run.jar; do
      [ -f "$home/$file" ] || die "KEYCLOAK_HOME is $home, which is no unpacked Keycloak: $file is missing"
    done
    version=$(sed -n 's/^Keycloak - Version //p' "$home/version.txt" 2>/dev/null || true)
    how=java version=${version:-unknown}
    find_java
  elif command -v docker >/dev/null && docker info >/dev/null 2>&1 && { $download || docker image inspect "$image" >/dev/null 2>&1; }; then
    how=docker
  else
    how=java
    find_java
    fetch
  fi
}

# ---- start

# The realm files under the names that Keycloak insists on; sets $realms.
gather() {
  local file realm
  realms=()
  rm -rf "$server/data/import"
  mkdir -p "$server/data/import"
  for file in "${realm_files[@]}"; do
    realm=$(jq -er .realm "$file" 2>/dev/null) || die "$file is not a realm export (JSON with \`realm\`)"
    [[ $realm =~ ^[A-Za-z0-9._-]+$ ]] || die "$file: the realm's name is $realm"
    cp "$file" "$server/data/import/$realm-realm.json"
    realms+=("$realm")
  done
}
# A Keycloak whose files may be written: it compiles its configuration into lib/quarkus, half a minute's work, so what
# came out is kept in the cache for the next one. The 170 MB that never change are linked.
lay_out() {
  compiled=$cache/compiled-$(printf '%s %s %s' "$home" "$version" "$(cd "$home" && ls -lLn providers lib/quarkus-run.jar)" | cksum | tr ' ' -)
  [ "$(cat "$server/home" 2>/dev/null)" != "$compiled" ] || return 0
  (cd "$server" && rm -rf bin conf lib providers themes)
  mkdir -p "$server/bin" "$server/lib" "$server/conf"
  cp "$home/bin/kc.sh" "$server/bin/"
  # Its conf/keycloak.conf stays behind: what runs is the same, wherever Keycloak came from.
  cp "$home/conf/cache-ispn.xml" "$server/conf/"
  cp "$home/version.txt" "$server/"
  cp -R "$home/providers" "$home/themes" "$server/"
  cp -R "$home/lib/app" "$home/lib/quarkus-run.jar" "$server/lib/"
  ln -s "$home/lib/lib" "$server/lib/lib"
  if [ -d "$compiled" ]; then cp -R "$compiled" "$server/lib/quarkus"; else cp -R "$home/lib/quarkus" "$server/lib/"; fi
  echo "$compiled" >"$server/home"
}
keep_compiled() {
  [ ! -d "$compiled" ] || return 0
  local partial
  mkdir -p "$cache"
  partial=$(mktemp -d "$cache/partial.XXXXXX")
  cp -R "$server/lib/quarkus" "$partial/it"
  mv "$partial/it" "$compiled" 2>/dev/null || true
  rm -rf "$partial"
}
write_record() {
  printf '%s\n' "how=$how" "$@" "port=$port" "hostname=$hostname" "version=$version" >"$record.new"
  mv "$record.new" "$record"
}
spawn() {
  local pid arguments=(start-dev --import-realm --hostname="$hostname") container
  if [ "$how" = docker ]; then
    container=mcp-keycloak-$port
    # One of ours that has been stopped keeps its database; with other settings it is of no use.
    if [ "$(docker inspect -f '{{index .Config.Labels "mcp-keycloak.state"}} {{index .Config.Labels "mcp-keycloak.run"}}' "$container" 2>/dev/null)" = "$state $image $hostname" ]; then
      docker start "$container" >/dev/null
    else
      if [ "$(docker inspect -f '{{index .Config.Labels "mcp-keycloak.state"}}' "$container" 2>/dev/null)" = "$state" ]; then
        docker rm -f "$container" >/dev/null
      fi
      docker run -d --name "$container" --label "mcp-keycloak.state=$state" --label "mcp-keycloak.run=$image $hostname" \
        --memory 1g -p "127.0.0.1:$port:8080" -v "$server/data/import:/opt/keycloak/data/import:ro" \
        -e KC_BOOTSTRAP_ADMIN_USERNAME=admin -e KC_BOOTSTRAP_ADMIN_PASSWORD=admin \
        -e JAVA_OPTS_KC_HEAP="$heap" -e JAVA_OPTS_APPEND="$compiler" "$image" "${arguments[@]}" >/dev/null ||
        die "docker could not run $image"
    fi
    write_record "container=$container" "from=Docker ($image)"
    return
  fi
  lay_out
  arguments+=(--http-host=127.0.0.1 --http-port="$port")
  (
    # Settings of another Keycloak are none of ours.
    # shellcheck disable=SC2086 # names, one each
    unset ${!KC_@} ${!JAVA_OPTS@} JAVA_ADD_OPENS JAVA_LOCALE PRINT_ENV DEBUG
    export KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin JAVA="$java"
    export JAVA_OPTS_KC_HEAP="$heap" JAVA_OPTS_APPEND="$compiler"
    cd "$server"
    # A session of its own: it outlives this script and its terminal.
    if command -v setsid >/dev/null; then
      setsid "$server/bin/kc.sh" "${arguments[@]}" </dev/null >"$log" 2>&1 9>&- &
    else
      set -m
      nohup "$server/bin/kc.sh" "${arguments[@]}" </dev/null >"$log" 2>&1 9>&- &
    fi
    echo $! >"$state/pid.new"
  )
  pid=$(cat "$state/pid.new")
  rm -f "$state/pid.new"
  write_record "pid=$pid" "group=$pid" "began=$(began "$pid")" "from=$home"
}
# kc.sh waits for the server, which is its child; from here on that one is meant, so that whoever kills the pid that
# `status` shows kills Keycloak.
record_server() {
  local shell pid
  [ "$how" = java ] || return 0
  shell=$(recorded pid)
  pid=$(ps -A -o pid= -o ppid= | awk -v parent="$shell" '$2 == parent { print $1; exit }')
  write_record "pid=${pid:-$shell}" "group=$shell" "began=$(began "${pid:-$shell}")" "from=$home"
}
tail_of_log() {
  if [ "$how" = docker ]; then docker logs --tail 20 "$(recorded container)" 2>&1; else tail -n 20 "$log"; fi | sed 's/^/  | /' >&2
}

start() {
  local began_at=$SECONDS realm next=0
  for tool in curl jq; do command -v "$tool" >/dev/null || die "$tool is missing"; done
  lock
  if ours; then
    [ "$(recorded port) $(recorded hostname)" = "$port $hostname" ] ||
      die "it runs already, but as $(recorded hostname) on port $(recorded port); stop it first, or give it another --state"
    echo "already running: $(report)"
    return
  fi
  if listening 127.0.0.1 || listening ::1; then die "port $port is in use by another program; stop that, or choose another --port"; fi
  choose
  gather
  rm -f "$record"
  spawn
  say "starting Keycloak $version as $hostname (the first time it compiles its configuration, half a minute)"
  while [ $next -lt ${#realms[@]} ]; do
    realm=${realms[next]}
    if ! ours; then
      say "keycloak.sh: Keycloak ended instead of starting:"
      tail_of_log
      rm -f "$record"
      exit 1
    fi
    # No proxy: it is for the world outside. The discovery document is there once the realm has been imported.
    if curl -sf --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$port/realms/$realm/.well-known/openid-configuration"; then
      next=$((next + 1))
      continue
    fi
    if [ $((SECONDS - began_at)) -ge "$deadline" ]; then
      say "keycloak.sh: realm $realm does not answer after $deadline s:"
      tail_of_log
      end
      exit 1
    fi
    sleep 0.3
  done
  record_server
  if [ "$how" = java ]; then keep_compiled; fi
  echo "ready after $((SECONDS - began_at)) s: $(report)"
  echo "realms ${realms[*]}; administration at $hostname/admin with admin/admin, for this machine only"
}

# ---- stop

# end: ends what the record names, if it is ours; KILL is for what TERM has not ended.
end() {
  local pid tries
  if ours; then
    if [ "$(recorded how)" = docker ]; then
      docker stop "$(recorded container)" >/dev/null
    else
      pid=$(recorded pid)
      kill -TERM "$pid" 2>/dev/null || true
      for ((tries = 0; tries < 150; tries++)); do
        ours || break
        sleep 0.1
      done
      # The group: kc.sh and the server, whichever of them the record meant.
      if ours; then kill -KILL -- "-$(recorded group)" 2>/dev/null || true; fi
    fi
  fi
  rm -f "$record"
}
stop() {
  if [ ! -d "$state" ]; then
    echo 'not running'
    return
  fi
  lock
  if ours; then
    end
    echo 'stopped'
  else
    rm -f "$record"
    echo 'not running'
  fi
}

case $action in
  start) start ;;
  stop) stop ;;
  reset)
    stop
    if command -v docker >/dev/null && [ "$(docker inspect -f '{{index .Config.Labels "mcp-keycloak.state"}}' "mcp-keycloak-$port" 2>/dev/null)" = "$state" ]; then
      docker rm -f "mcp-keycloak-$port" >/dev/null
    fi
    rm -rf "$server" "$log" "$state/lock"
    rmdir "$state" 2>/dev/null || true
    echo 'the next start imports the realms anew'
    ;;
  status)
    if ours; then report; else
      echo 'not running'
      exit 1
    fi
    ;;
  logs)
    if [ "$(recorded how)" = docker ]; then
      if $follow; then exec docker logs -f "$(recorded container)"; else exec docker logs "$(recorded container)"; fi
    fi
    [ -f "$log" ] || die "there is no log in $state"
    if $follow; then exec tail -n +1 -f "$log"; else cat "$log"; fi
    ;;
esac
