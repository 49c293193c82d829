#!/usr/bin/env bash
# Keycloak for trying things out on this machine, with the realms of keycloak/*.json. Loopback only, and with a password
# that everybody knows (admin/admin): nothing for a network.
#
#   scripts/keycloak.sh start [OPTIONS]        returns when the realms answer
#   scripts/keycloak.sh stop|status [OPTIONS]
#   scripts/keycloak.sh reset [OPTIONS]        stops it; the next start imports the realms anew
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
source "$here/scripts/service.sh"
# Half a gigabyte resident instead of 620 MB, and a faster start: it serves one person, not for weeks.
heap='-Xms64m -Xmx384m'
compiler='-XX:TieredStopAtLevel=1'

action=${1:-}
case $action in
  start | stop | status | logs | reset) shift ;;
  *) usage 'what shall it do?' ;;
esac
port=8080 hostname='' state=${XDG_STATE_HOME:-$HOME/.local/state}/mcp-keycloak realm_files=() deadline=240
download=true follow=false proxy=false
while [ $# -gt 0 ]; do
  case $1 in
    --hostname | --port | --state | --realm-file | --deadline) [ -n "${2:-}" ] || usage "$1 needs a value" ;;
  esac
  case $1 in
    --proxy) proxy=true ;;
    --hostname) hostname=${2%/} && shift ;;
    --port) port_number "$1" "$2" && port=$2 && shift ;;
    --state) state=$2 && shift ;;
    --realm-file) realm_files+=("$2") && shift ;;
    --deadline)
      [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || usage "--deadline $2 is no number of seconds"
      deadline=$2 && shift
      ;;
    --no-download) download=false ;;
    -f) [ "$action" = logs ] || usage "-f is for logs" && follow=true ;;
    *) usage "unknown option $1" ;;
  esac
  shift
done
if [ -z "$hostname" ]; then
  hostname=http://localhost:$port
  if $proxy; then hostname=http://localhost:9090; fi
fi
[[ $hostname =~ ^https?://[^/?#[:space:]]+(/[^?#[:space:]]*)?$ ]] || usage "--hostname $hostname is no http(s) URL"
[ ${#realm_files[@]} -gt 0 ] || realm_files=("$here"/keycloak/mcp-realm*.json)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-keycloak
case $state in /*) ;; *) state=$PWD/$state ;; esac
# $server: a Keycloak of its own, which is links to the distribution, its own configuration, and the database.
log=$state/keycloak.log server=$state/server

# A label of the container that has our name, if there is one.
label() { docker inspect -f "{{index .Config.Labels \"mcp-keycloak.$1\"}}" "mcp-keycloak-$port" 2>/dev/null || true; }
# ours: what the record says runs does, and is what was started.
ours() {
  case $(recorded how) in
    docker) [ "$(docker inspect -f '{{.State.Running}} {{index .Config.Labels "mcp-keycloak.state"}}' "$(recorded container)" 2>/dev/null)" = "true $state" ] ;;
    java) alive ;;
    *) return 1 ;;
  esac
}
report() {
  local what
  case $(recorded how) in
    docker) what="container $(recorded container)" ;;
    *) what="pid $(recorded pid)" ;;
  esac
  echo "$(recorded hostname) (port $(recorded port)): Keycloak $(recorded version), $what, from $(recorded from)"
}

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
    $download || { say "$program: Keycloak $version would have to be downloaded (170 MB), and --no-download forbids it"; exit 3; }
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

# What a running one has to agree in with the one that is asked for.
settings() { echo "${realms[*]}, $(if $proxy; then echo behind a proxy; else echo no proxy; fi)"; }
# Sets $realms.
name_realms() {
  local file realm
  realms=()
  for file in "${realm_files[@]}"; do
    realm=$(jq -er .realm "$file" 2>/dev/null) || die "$file is not a realm export (JSON with \`realm\`)"
    [[ $realm =~ ^[A-Za-z0-9._-]+$ ]] || die "$file: $realm is no name of a realm here"
    realms+=("$realm")
  done
}
# The realm files, under the names that Keycloak insists on.
gather() {
  local next change=.
  # To a container this machine's requests come from the gateway of its network: no client could register itself. The
  # port is published on loopback alone, which says the same.
  if [ "$how" = docker ]; then
    change='(.components[]?[]? | select(.providerId == "trusted-hosts").config["host-sending-registration-request-must-match"]) = ["false"]'
  fi
  rm -rf "$server/data/import"
  mkdir -p "$server/data/import"
  for ((next = 0; next < ${#realms[@]}; next++)); do
    jq "$change" "${realm_files[next]}" >"$server/data/import/${realms[next]}-realm.json"
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
recorded_as() { record "how=$how" "$@" "port=$port" "hostname=$hostname" "settings=$(settings)" "version=$version"; }
spawn() {
  local arguments=(start-dev --import-realm --hostname="$hostname") container=mcp-keycloak-$port
  # The addresses of the proxy's callers, for the policy Trusted Hosts.
  if $proxy; then arguments+=(--proxy-headers=xforwarded); fi
  if [ "$how" = docker ]; then
    # One of ours that was stopped keeps its database, but not under other settings.
    if [ "$(label state)" = "$state" ] && [ "$(label run)" = "$image ${arguments[*]}" ]; then
      docker start "$container" >/dev/null || die "docker could not start $container"
    else
      if [ "$(label state)" = "$state" ]; then docker rm -f "$container" >/dev/null; fi
      docker run -d --name "$container" --label "mcp-keycloak.state=$state" \
        --label "mcp-keycloak.run=$image ${arguments[*]}" \
        --memory 1g -p "127.0.0.1:$port:8080" -v "$server/data/import:/opt/keycloak/data/import:ro" \
        -e KC_BOOTSTRAP_ADMIN_USERNAME=admin -e KC_BOOTSTRAP_ADMIN_PASSWORD=admin \
        -e JAVA_OPTS_KC_HEAP="$heap" -e JAVA_OPTS_APPEND="$compiler" "$image" "${arguments[@]}" >/dev/null ||
        die "docker could not run $image"
    fi
    recorded_as "container=$container" "from=Docker ($image)"
    return
  fi
  lay_out
  arguments+=(--http-host=127.0.0.1 --http-port="$port")
  # Settings of another Keycloak are none of ours.
  # shellcheck disable=SC2086 # names, one each
  unset ${!KC_@} ${!JAVA_OPTS@} JAVA_ADD_OPENS JAVA_LOCALE PRINT_ENV DEBUG
  export KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin JAVA="$java"
  export JAVA_OPTS_KC_HEAP="$heap" JAVA_OPTS_APPEND="$compiler"
  detached "$server/bin/kc.sh" "${arguments[@]}"
  recorded_as "pid=$pid" "group=$pid" "began=$(began "$pid")" "from=$home"
}
# kc.sh waits for the server, which is its child; from here on that one is meant, so that whoever kills the pid that
# `status` shows kills Keycloak.
record_server() {
  local shell
  shell=$(recorded pid)
  pid=$(ps -A -o pid= -o ppid= | awk -v parent="$shell" '$2 == parent { print $1; exit }')
  pid=${pid:-$shell}
  recorded_as "pid=$pid" "group=$shell" "began=$(began "$pid")" "from=$home"
}
tail_of_log() {
  if [ "$how" = docker ]; then docker logs --tail 20 "$(recorded container)" 2>&1; else tail -n 20 "$log"; fi | sed 's/^/  | /' >&2
}

# Until every realm's discovery document is there: it is, once the realm has been imported.
await() {
  local realm began_at=$SECONDS
  for realm in "${realms[@]}"; do
    # No proxy: it is for the world outside.
    until curl -sf --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$port/realms/$realm/.well-known/openid-configuration"; do
      if ! ours; then
        say "$program: Keycloak ended instead of starting:"
        tail_of_log
        rm -f "$state/running"
        exit 1
      fi
      if [ $((SECONDS - began_at)) -ge "$deadline" ]; then
        say "$program: realm $realm does not answer after $deadline s:"
        tail_of_log
        end
        exit 1
      fi
      sleep 0.3
    done
  done
}
start() {
  local begun=$SECONDS tool
  for tool in curl jq; do command -v "$tool" >/dev/null || die "$tool is missing"; done
  name_realms
  lock
  if ours; then
    [ "$(recorded port) $(recorded hostname) $(recorded settings)" = "$port $hostname $(settings)" ] ||
      die "it runs already, otherwise: $(report) ($(recorded settings)); stop it first, or give this one another --state"
    how=$(recorded how)
    # The start before this one may have been interrupted.
    await
    echo "already running: $(report)"
    return
  fi
  free_port
  choose
  gather
  rm -f "$state/running"
  spawn
  say "starting Keycloak $version as $hostname"
  if [ "$how" = java ] && [ ! -d "$compiled" ]; then say 'it compiles its configuration this once, which takes half a minute'; fi
  await
  if [ "$how" = java ]; then
    record_server
    keep_compiled
  fi
  echo "ready after $((SECONDS - begun)) s: $(report)"
  echo "realms ${realms[*]}; administration at $hostname/admin with admin/admin, for this machine only"
}

# ---- stop

# Ends what the record names, if it is ours.
end() {
  if ours; then
    if [ "$(recorded how)" = docker ]; then docker stop "$(recorded container)" >/dev/null; else ended; fi
  fi
  rm -f "$state/running"
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
    rm -f "$state/running"
    echo 'not running'
  fi
}

case $action in
  start) start ;;
  stop) stop ;;
  reset)
    stop
    if command -v docker >/dev/null; then
      # shellcheck disable=SC2046 # ids, one each
      docker rm -f $(docker ps -aq --filter "label=mcp-keycloak.state=$state" 2>/dev/null) >/dev/null 2>&1 || true
    fi
    rm -rf "$server" "$log"
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
