#!/usr/bin/env bash
# nginx in front of Keycloak, on loopback and without root: CORS for browser clients, and the realm's metadata at the
# root. The configuration is keycloak/proxy/nginx.conf.in; Keycloak has to know its URL: scripts/keycloak.sh start --proxy
#
#   scripts/proxy.sh start|stop|status [OPTIONS]
#
#   --port N         9090
#   --upstream URL   where Keycloak listens (http://127.0.0.1:8080)
#   --realm R        whose metadata is at /.well-known/oauth-authorization-server (mcp-realm)
#   --state DIR      pid, log, configuration ($XDG_STATE_HOME/mcp-proxy)
#
# NGINX names another nginx than the one on PATH. Exit codes: 0; 1 it failed, or it is not running (status); 2 usage.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$here/scripts/service.sh"

action=${1:-}
case $action in
  start | stop | status) shift ;;
  *) usage "what shall it do?" ;;
esac
port=9090 upstream=http://127.0.0.1:8080 realm=mcp-realm state=${XDG_STATE_HOME:-$HOME/.local/state}/mcp-proxy
while [ $# -gt 0 ]; do
  case $1 in
    --port | --upstream | --realm | --state) [ -n "${2:-}" ] || usage "$1 needs a value" ;;
    *) usage "unknown option $1" ;;
  esac
  case $1 in
    --port) port_number "$1" "$2" && port=$2 ;;
    --upstream) upstream=${2%/} ;;
    --realm) realm=$2 ;;
    --state) state=$2 ;;
  esac
  shift 2
done
[[ $upstream =~ ^http://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]+$ ]] || usage "--upstream $upstream is not http://HOST:PORT"
[[ $realm =~ ^[A-Za-z0-9._-]+$ ]] || usage "--realm $realm is no name of a realm"
case $state in /*) ;; *) state=$PWD/$state ;; esac
log=$state/nginx.log

report() { echo "$(recorded url) in front of $(recorded upstream), realm $(recorded realm): nginx $(recorded version), pid $(recorded pid)"; }

start() {
  local nginx tries version published user='' listen6=/%LISTEN6%/d url=http://localhost:$port
  command -v curl >/dev/null || die 'curl is missing'
  # Debian keeps it where only root's PATH looks.
  nginx=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "${NGINX:-nginx}") || die 'nginx is missing (Debian: apt-get install nginx-light, and systemctl disable --now nginx)'
  lock
  if alive; then
    [ "$(recorded url) $(recorded upstream) $(recorded realm)" = "$url $upstream $realm" ] ||
      die "it runs already, otherwise: $(report); stop it first, or give it another --state"
    echo "already running: $(report)"
    return
  fi
  free_port
  mkdir -p "$state/temp"
  # As root, nginx would hand its work to a user that may not enter the directory.
  [ "$(id -u)" -ne 0 ] || user="user $(id -un) $(id -gn);"
  # Clients may take ::1 for localhost, where there is one.
  if grep -qs '^0\{31\}1 ' /proc/net/if_inet6; then listen6="s|%LISTEN6%|listen [::1]:$port|"; fi
  sed -e "s|%USER%|$user|" -e "s|%PORT%|$port|g" -e "s|%UPSTREAM%|${upstream#http://}|g" -e "s|%REALM%|$realm|g" \
    -e "$listen6" "$here/keycloak/proxy/nginx.conf.in" >"$state/nginx.conf"
  "$nginx" -p "$state" -e stderr -c "$state/nginx.conf" -t -q 2>"$log" || die "nginx refuses $state/nginx.conf: $(cat "$log")"
  version=$("$nginx" -v 2>&1 | sed 's|.*/||')
  detached "$nginx" -p "$state" -e stderr -c "$state/nginx.conf" -g 'daemon off;'
  record "pid=$pid" "group=$pid" "began=$(began "$pid")" "url=$url" "upstream=$upstream" "realm=$realm" "version=$version"
  for ((tries = 0; tries < 100; tries++)); do
    if listening 127.0.0.1; then break; fi
    alive || break
    sleep 0.1
  done
  if ! alive; then
    rm -f "$state/running"
    die "nginx ended instead of starting: $(tail -n 5 "$log")"
  fi
  echo "ready: $(report)"
  # Its tokens and its metadata must name the proxy, or every client refuses them.
  published=$(curl -s --noproxy '*' --max-time 5 "http://127.0.0.1:$port/.well-known/oauth-authorization-server" | sed -n 's/.*"issuer":"\([^"]*\)".*/\1/p') || true
  case $published in
    "$url/realms/$realm") ;;
    '') say "$program: realm $realm does not answer at $upstream yet; scripts/keycloak.sh start --proxy" ;;
    *) say "$program: Keycloak's issuer is $published, not $url/realms/$realm; restart it with scripts/keycloak.sh start --proxy" ;;
  esac
}

case $action in
  start) start ;;
  stop)
    if [ -d "$state" ]; then lock; fi
    if alive; then
      ended
      echo 'stopped'
    else
      echo 'not running'
    fi
    rm -f "$state/running"
    ;;
  status)
    if alive; then report; else
      echo 'not running'
      exit 1
    fi
    ;;
esac
