#!/usr/bin/env bash
# scripts/keycloak.sh and scripts/proxy.sh: what they refuse, then a Keycloak and a proxy of the test's own, on free
# ports, with their state in a directory that goes away.
source "$(dirname "$0")/lib.sh"
keycloak=scripts/keycloak.sh proxy=scripts/proxy.sh state=$work/state
# Both are detached, so that lib.sh does not know them.
trap '"$proxy" stop --state "$work/proxy" >/dev/null 2>&1 || true; "$keycloak" stop --state "$state" >/dev/null 2>&1 || true; cleanup' EXIT
# A proxy for the world outside has no way to these servers.
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
claims() { cut -d. -f2 | jq -Rc 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson'; }
# free: a port that nobody listens at.
free() {
  local port
  while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}
# refused NAME CODE TEXT COMMAND…: it exits with the code, and says why.
refused() {
  local name=$1 expected=$2 text=$3 code=0
  shift 3
  timeout 60 "$@" >"$work/out" 2>&1 || code=$?
  case $code/$(cat "$work/out") in
    "$expected"/*"$text"*) ok "$name" ;;
    *) fail "$name" "exit $code: $(cat "$work/out")" ;;
  esac
}

# ---- keycloak.sh: what it refuses

refused 'no action: it says how to call it' 2 'scripts/keycloak.sh start' "$keycloak"
refused 'an action that there is not' 2 'what shall it do' "$keycloak" restart
refused 'an option that there is not' 2 'unknown option --prot' "$keycloak" start --prot 1
refused 'an option without its value' 2 '--state needs a value' "$keycloak" start --state
for bad in 0 65536 80a -1 08080; do refused "port $bad" 2 'not between 1 and 65535' "$keycloak" start --port "$bad"; done
refused 'a hostname that is no URL' 2 'is no http(s) URL' "$keycloak" start --hostname localhost:8080
refused 'a deadline that is no number' 2 'no number of seconds' "$keycloak" start --deadline soon
refused 'a realm file that is none' 1 'is not a realm export' "$keycloak" start --state "$state" --realm-file README.md
refused 'a realm name that would leave its directory' 1 'is no name of a realm' \
  "$keycloak" start --state "$state" --realm-file <(echo '{"realm": "../../etc"}')
cargo build --quiet -p mcp-idp
start_program mcp-idp "$target/debug/mcp-idp" --realm-file keycloak/mcp-realm.json --key-dir "$work/keys" --port 0
same 'mcp-idp reads the realm mcp without a complaint' 0 "$(grep -c WARN "$server_log" || true)"
refused 'a port in use' 1 "port $port is in use by another program" "$keycloak" start --state "$state" --port "$port"
free_port=$(free)
same 'status, when nothing runs' '1 not running' "$(code=0; out=$("$keycloak" status --state "$state") || code=$?; echo "$code $out")"
refused 'logs, when there are none' 1 'there is no log' "$keycloak" logs --state "$state"

# A PATH with everything but what the test is about.
tools=$work/tools
mkdir -p "$tools"
for tool in awk bash cat cksum cp curl cut date dirname env flock grep gzip head id jq kill ln ls mkdir mktemp mv ps rm sed \
  setsid sha1sum shasum sleep tail tar tr; do
  if found=$(type -P "$tool"); then ln -s "$found" "$tools/$tool"; fi
done
# No Java, Maven, Docker or nginx but those in the first directory.
alone=(env -u JAVA_HOME -u KEYCLOAK_HOME PATH="$work/fake:$tools" XDG_CACHE_HOME="$work/cache" KEYCLOAK_MAVEN_REPO="$work/m2")
# fake NAME: a program of the test's, from standard input.
fake() {
  mkdir -p "$work/fake"
  { echo '#!/usr/bin/env bash'; cat; } >"$work/fake/$1"
  chmod +x "$work/fake/$1"
}
mkdir -p "$work/fake"
arguments=("$keycloak" start --state "$state" --port "$free_port")
refused 'no Java' 1 'Keycloak needs Java 17 or newer (Debian:' "${alone[@]}" "${arguments[@]}"
refused 'JAVA_HOME without a Java' 1 'there is no bin/java in it' "${alone[@]}" JAVA_HOME="$work" "${arguments[@]}"
for old in 1.8.0_402 11.0.2 16; do
  fake java <<<"echo 'openjdk version \"$old\" 2020-01-01' >&2"
  major=${old#1.}
  refused "Java $old" 1 "is Java ${major%%.*} (JAVA_HOME" "${alone[@]}" "${arguments[@]}"
done
fake java <<<'echo nonsense >&2'
refused 'a Java that does not say its version' 1 'does not say its version' "${alone[@]}" "${arguments[@]}"
fake java <<<"echo 'openjdk version \"25\" 2025-09-16' >&2"
refused 'no Maven: what to install' 1 'Install one of: Docker; Maven' "${alone[@]}" "${arguments[@]}"
fake mvn <<<'echo called; exit 1'
refused 'Maven fails' 1 'Maven could not fetch' "${alone[@]}" "${arguments[@]}"
refused '--no-download' 3 '--no-download forbids it' "${alone[@]}" "${arguments[@]}" --no-download
if grep -q called "$work/out"; then fail 'which does not call Maven'; else ok 'which does not call Maven'; fi
refused 'a KEYCLOAK_HOME that is not there' 1 'is no directory' "${alone[@]}" KEYCLOAK_HOME="$work/nowhere" "${arguments[@]}"
refused 'a KEYCLOAK_HOME that is none' 1 'no unpacked Keycloak: bin/kc.sh is missing' "${alone[@]}" KEYCLOAK_HOME="$work" "${arguments[@]}"

# A distribution whose kc.sh is the test's, packed as Maven has it.
version=$(sed -n 's/^version=//p' "$keycloak")
dist=$work/dist/keycloak-$version
mkdir -p "$dist"/{bin,conf,providers,themes,lib/{lib,app,quarkus}}
touch "$dist/conf/cache-ispn.xml" "$dist/lib/quarkus-run.jar"
echo "Keycloak - Version $version" >"$dist/version.txt"
printf '#!/usr/bin/env bash\necho "the disk is full"; exit 7\n' >"$dist/bin/kc.sh"
chmod +x "$dist/bin/kc.sh"
archive=$work/m2/org/keycloak/keycloak-quarkus-dist/$version/keycloak-quarkus-dist-$version.tar.gz
mkdir -p "${archive%/*}"
tar -czf "$archive" -C "$work/dist" "keycloak-$version"
sha1sum <"$archive" | cut -c1-40 >"$archive.sha1"
cp "$archive" "$work/genuine"
echo x >>"$archive"
refused 'an archive that is not what its checksum says' 1 'is not what its .sha1 says' "${alone[@]}" "${arguments[@]}"
if [ -e "$work/cache/mcp-keycloak/keycloak-$version" ]; then fail 'which is not unpacked'; else ok 'which is not unpacked'; fi
mv "$work/genuine" "$archive"
refused 'a Keycloak that dies: the end of its log' 1 '  | the disk is full' "${alone[@]}" "${arguments[@]}" --no-download
if [ -e "$work/cache/mcp-keycloak/keycloak-$version" ]; then ok 'it came from the archive that is'; else fail 'it came from the archive'; fi
refused 'and nothing runs' 1 'not running' "$keycloak" status --state "$state"
# It ignores the polite signal, too.
printf '#!/usr/bin/env bash\ntrap "" TERM\necho waiting; while sleep 1; do :; done\n' >"$dist/bin/kc.sh"
before=$(cd "$dist" && find . -type f -exec cksum {} + | sort)
refused 'one that never answers' 1 'does not answer after 1 s' "${alone[@]}" KEYCLOAK_HOME="$dist" "${arguments[@]}" --deadline 1
same 'it is ended, though it does not listen' '' "$(ps -A -o pid= -o args= | grep -F "$state/server/bin/kc.sh" | grep -v grep || true)"
same 'nothing was written into KEYCLOAK_HOME' "$before" "$(cd "$dist" && find . -type f -exec cksum {} + | sort)"

# ---- whom stop stops

other=$work/other
mkdir "$other"
sleep 300 &
bystander=$!
servers+=("$bystander")
# recorded PID BEGAN: as a start would have left it.
recorded() { printf '%s\n' how=java "pid=$1" "group=$1" "began=$2" >"$other/running"; }
began=$(bash -c "source scripts/service.sh; began $bystander")
recorded "$bystander" 1
same 'a pid that is somebody else now: stop leaves it alone' 'not running' "$("$keycloak" stop --state "$other")"
if kill -0 "$bystander"; then ok 'it lives'; else fail 'it lives'; fi
recorded "$bystander" ''
"$keycloak" stop --state "$other" >/dev/null
if kill -0 "$bystander"; then ok 'also without a start time'; else fail 'also without a start time'; fi
recorded -1 1
same 'a pid that is none' 'not running' "$("$keycloak" stop --state "$other")"
recorded "$bystander" "$began"
same 'the one that was started: it is stopped' 'stopped' "$("$keycloak" stop --state "$other")"
if kill -0 "$bystander" 2>/dev/null; then fail 'it is gone'; else ok 'it is gone'; fi
same 'stop where nothing ever ran' 'not running' "$("$keycloak" stop --state "$work/never")"
same 'reset leaves what it did not make' yes "$(touch "$state/mine"; "$keycloak" reset --state "$state" >/dev/null; [ -e "$state/mine" ] && echo yes)"

# ---- Docker, of which only the calls are looked at, unless there is one

fake docker <<E2
printf '%s\n' "\$*" >>"$work/docker"
case "\$*" in
  'inspect -f {{.State.Running}}'*) echo 'true $state' ;;
  inspect*) exit 1 ;;
  logs*) echo 'the image is old' ;;
esac
E2
refused 'in Docker: a container that does not answer' 1 '  | the image is old' "${alone[@]}" "${arguments[@]}" --deadline 1
if grep '^run ' "$work/docker" | grep -q -- "-p 127.0.0.1:$free_port:8080 .*keycloak:$version start-dev --import-realm --hostname=http://localhost:$free_port\$"; then
  ok 'it was published on loopback only, under its name'
else
  fail 'it was published on loopback only, under its name' "$(cat "$work/docker")"
fi
same 'and stopped again' "stop mcp-keycloak-$free_port" "$(grep '^stop ' "$work/docker")"
same 'there the port is what keeps strangers from registering' '["false"]["false"]' "$(jq -c '.components[][] | .config["host-sending-registration-request-must-match"] // empty' "$state"/server/data/import/*.json | tr -d '\n')"
rm -r "$work/fake"
"$keycloak" reset --state "$state" >/dev/null

compose=keycloak/docker-compose.yml
if docker compose version >/dev/null 2>&1; then
  refused 'docker compose reads the compose file' 0 '' docker compose -f "$compose" config -q
else
  skip 'docker compose reads the compose file' 'docker compose is missing'
fi
if python3 -c 'import yaml' 2>/dev/null; then
  compose_file() { python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("'"$compose"'"))["services"]["keycloak"]))' | jq -r "$1"; }
  same 'its image is the version that the script runs' "$(sed -n 's/^image=//p' "$keycloak" | sed "s/\$version/$version/")" "$(compose_file .image)"
  same 'it is published on loopback only' 127.0.0.1:8080:8080 "$(compose_file '.ports | join(" ")')"
  same 'every file that it mounts is there' '' "$(compose_file '.volumes[] | split(":")[0]' | while read -r file; do [ -f "keycloak/$file" ] || echo "$file"; done)"
  # Its command, with the container's paths in our directory. Compose reads $$ as $.
  mkdir -p "$work/container/realms"
  cp keycloak/mcp-realm*.json "$work/container/realms/"
  compose_file '.command[0]' | sed -e "s#/opt/keycloak\|/realms#$work/container&#g" -e 's|\$\$|$|g' -e '/^exec/d' >"$work/command"
  bash -eu "$work/command"
  for realm in mcp mcp-realm; do
    same "realm $realm there: as in the file, but for the check that a container cannot make" \
      '[["components",0,"config","host-sending-registration-request-must-match",0]]' \
      "$(jq -c --slurpfile file "keycloak/$realm-realm.json" '[. as $it | paths(scalars) | select(. as $path | $it | getpath($path) != ($file[0] | getpath($path)))] | map([.[0], .[2], .[3], .[4], .[5]])' \
        "$work/container/opt/keycloak/data/import/$realm-realm.json")"
  done
  compose_file '.healthcheck.test[3]' | sed 's|\$\$|$|g' >"$work/healthcheck"
else
  skip 'what is in the compose file' 'python3 with PyYAML is missing'
fi

# ---- proxy.sh: what it refuses

refused 'proxy: no action' 2 'scripts/proxy.sh start|stop|status' "$proxy"
refused 'proxy: an option that there is not' 2 'unknown option --upstrem' "$proxy" start --upstrem x
refused 'proxy: port 0' 2 'not between 1 and 65535' "$proxy" start --port 0
refused 'proxy: an upstream with a path' 2 'is not http://HOST:PORT' "$proxy" start --upstream http://localhost:8080/auth
refused 'proxy: an upstream that is configuration' 2 'is not http://HOST:PORT' "$proxy" start --upstream 'http://a:1; include /etc/passwd'
refused 'proxy: a realm that is configuration' 2 'is no name of a realm' "$proxy" start --realm 'x; return 200 "mine"'
refused 'proxy: no nginx' 1 'nginx is missing (Debian: apt-get install nginx-light' env NGINX=no-such-nginx "$proxy" start --state "$work/proxy"
refused 'proxy: status, when nothing runs' 1 'not running' "$proxy" status --state "$work/proxy"
if PATH=$PATH:/usr/sbin:/usr/local/sbin type -P nginx >/dev/null; then
  nginx=true
  refused 'proxy: a port in use' 1 "port $port is in use" "$proxy" start --state "$work/proxy" --port "$port"
else
  nginx=false
fi

# ---- both, for real

proxy_port=$(free) hostname=http://localhost:$free_port options=()
if $nginx; then
  hostname=http://localhost:$proxy_port
  options=(--proxy --hostname "$hostname")
fi
can_start=false
if [ -n "${KEYCLOAK_HOME:-}" ] || docker info >/dev/null 2>&1; then
  can_start=true
elif command -v java >/dev/null && { command -v mvn >/dev/null || [ -d "${XDG_CACHE_HOME:-$HOME/.cache}/mcp-keycloak/keycloak-$version" ]; }; then
  can_start=true
fi
if ! $can_start; then
  skip 'a real Keycloak' 'it needs KEYCLOAK_HOME, Docker, or Java 17 and Maven'
  summary
  exit
fi
begun=$SECONDS
arguments+=(${options[@]+"${options[@]}"})
"${arguments[@]}" >"$work/second" 2>&1 &
second=$!
"${arguments[@]}" >"$work/first" 2>&1 || { fail 'Keycloak starts' "$(cat "$work/first")"; summary; exit; }
wait "$second" || true
printf '        %s\n' "$(cat "$work/first" "$work/second" | grep '^ready')"
if command -v flock >/dev/null; then
  same 'two starts at once: one starts it, the other finds it' '1 1' "$(cat "$work/first" "$work/second" | grep -c '^ready after') $(cat "$work/first" "$work/second" | grep -c '^already running: ')"
else
  skip 'two starts at once' 'flock is missing'
fi
same 'a start once it runs: it says so' "already running: $("$keycloak" status --state "$state")" "$("${arguments[@]}")"
refused 'a start under another name' 1 'it runs already, otherwise' "$keycloak" start --state "$state" --port "$free_port" --hostname http://localhost:1
pid=$("$keycloak" status --state "$state" | sed -n 's/.* pid \([0-9]*\),.*/\1/p')
case $(ps -o args= -p "${pid:-0}" || true) in
  *QuarkusEntryPoint*) ok "status names the server's process: $(($(ps -o rss= -p "$pid") / 1024)) MB resident" ;;
  *) if [ -n "$pid" ]; then fail "status names the server's process"; else skip "status names the server's process" 'it runs in Docker'; fi ;;
esac
# Keycloak says at every start that it has deprecated two of its own defaults.
same 'nothing in the log warns of something of ours' '' \
  "$("$keycloak" logs --state "$state" | grep -E ' (WARN|ERROR|FATAL) ' | grep -v 'Deprecated features .* enabled by default' || true)"
direct=http://127.0.0.1:$free_port
address=$(hostname -I 2>/dev/null | cut -d' ' -f1 || true)
if [ -n "$address" ]; then
  same 'only this machine reaches it' 000 "$(curl -s -o /dev/null --noproxy '*' --max-time 5 -w '%{http_code}' "http://$address:$free_port/" || true)"
else
  skip 'only this machine reaches it' 'the machine has no other address'
fi
for realm in mcp mcp-realm; do
  for host in 127.0.0.1 localhost; do
    same "realm $realm at $host: the issuer is the published one" "$hostname/realms/$realm $hostname/realms/$realm/protocol/openid-connect/token" \
      "$(curl -s "http://$host:$free_port/realms/$realm/.well-known/openid-configuration" | jq -r '"\(.issuer) \(.token_endpoint)"')"
  done
done
if [ -f "$work/healthcheck" ]; then
  sed "s|/8080|/$free_port|" "$work/healthcheck" >"$work/healthy"
  same "the compose file's health check: a server that answers, and none" '0 1' \
    "$(code=0; bash "$work/healthy" || code=$?; echo -n "$code "; code=0; sed "s|/$free_port|/1|" "$work/healthy" | bash 2>/dev/null || code=$?; echo "$code")"
fi

# token BASE REALM CURL ARGS…: sets $token, $said (its issuer, scopes and audience, both in order).
token() {
  local url=$1/realms/$2/protocol/openid-connect/token
  shift 2
  token=$(curl -s "$url" "$@" | jq -r '.access_token // tojson')
  # What is no token says itself why.
  said=$(claims <<<"$token" 2>/dev/null | jq -r '"\(.iss) \(.scope | split(" ") | sort | join(" ")) \([.aud] | flatten | sort | join(" "))"' 2>/dev/null) || said=$token
}
active() { curl -s "$direct/realms/$1/protocol/openid-connect/token/introspect" -u "$2" -d "token=$token" | jq -r .active; }
audience='http://localhost:3000/mcp mcp-client'
all='email mcp:prompts mcp:read mcp:run mcp:tools profile'
token "$direct" mcp -u mcp-client:mcp-client-secret -d grant_type=client_credentials
same 'mcp-client, for itself: every scope without asking' "$hostname/realms/mcp $all $audience" "$said"
same 'it may introspect that' true "$(active mcp mcp-client:mcp-client-secret)"
for person in mcp-admin/admin123 mcp-user/user123; do
  token "$direct" mcp -u mcp-client:mcp-client-secret -d grant_type=password -d "username=${person%/*}" -d "password=${person#*/}"
  same "mcp-client for ${person%/*}" "$hostname/realms/mcp $all $audience" "$said"
done
token "$direct" mcp -u mcp-client:mcp-client-secret -d grant_type=password -d username=mcp-readonly -d password=readonly123
same 'mcp-client for mcp-readonly: what the role allows' "$hostname/realms/mcp email mcp:read profile $audience" "$said"
same 'which it may introspect' true "$(active mcp mcp-client:mcp-client-secret)"
same 'somebody without the secret may not' null "$(active mcp mcp-client:wrong)"
audience='echo-mcp-server http://localhost:9000/mcp'
token "$direct" mcp-realm -d client_id=mcp-test-client -d grant_type=password -d username=alice -d password=alice123 -d 'scope=mcp:read mcp:tools'
same 'mcp-test-client for alice: what it asks for' "$hostname/realms/mcp-realm email mcp:read mcp:tools profile $audience" "$said"
same 'echo-mcp-server may introspect that' true "$(active mcp-realm echo-mcp-server:echo-mcp-server-secret)"
token "$direct" mcp-realm -u echo-mcp-server:echo-mcp-server-secret -d grant_type=client_credentials -d 'scope=mcp:read mcp:run'
same 'echo-mcp-server for itself' "$hostname/realms/mcp-realm email mcp:read mcp:run profile $audience" "$said"
# authorize REDIRECT [CURL ARGS…]: the status of the login page, or the error in the redirect.
authorize() {
  local redirect=$1
  shift
  curl -s -G -o /dev/null -w '%{http_code} %{redirect_url}' "$direct/realms/mcp/protocol/openid-connect/auth" -d response_type=code \
    -d client_id=mcp-client -d scope=openid --data-urlencode "redirect_uri=$redirect" "$@"
}
challenge=(-d code_challenge_method=S256 -d code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM)
for host in localhost 127.0.0.1; do
  same "the code flow, to any port of $host" '200 ' "$(authorize "http://$host:51234/callback" "${challenge[@]}")"
done
same 'to nowhere else' '400 ' "$(authorize http://evil.example/callback "${challenge[@]}")"
case $(authorize http://localhost:51234/callback) in
  '302 http://localhost:51234/callback?error=invalid_request'*) ok 'and not without PKCE' ;;
  *) fail 'and not without PKCE' "$(authorize http://localhost:51234/callback)" ;;
esac
# register BASE REALM URI [CURL ARGS…]
register() {
  curl -s -o "$work/body" -w '%{http_code}' "$1/realms/$2/clients-registrations/openid-connect" -H 'Content-Type: application/json' \
    -d "{\"redirect_uris\": [\"$3\"], \"scope\": \"mcp:read mcp:tools offline_access\"}" "${@:4}"
}
for realm in mcp mcp-realm; do
  same "realm $realm: a client of this machine may register" 201 "$(register "$direct" "$realm" http://127.0.0.1:4711/callback)"
  same "realm $realm: one that redirects elsewhere may not" 403 "$(register "$direct" "$realm" https://evil.example/callback)"
done

if $nginx; then
  start_proxy() { "$proxy" start --state "$work/proxy" --port "$proxy_port" --upstream "$direct" "$@" 2>&1; }
  start_proxy >"$work/out"
  same 'proxy: it starts, and has nothing to complain of' 1 "$(wc -l <"$work/out")"
  same 'proxy: a start once it runs' "already running: $("$proxy" status --state "$work/proxy")" "$(start_proxy)"
  refused 'proxy: a start for another realm' 1 'it runs already, otherwise' "$proxy" start --state "$work/proxy" --port "$proxy_port" --upstream "$direct" --realm mcp
  for host in localhost 127.0.0.1; do
    same "proxy: metadata at the root of $host, with the proxy's URL as issuer" "$hostname/realms/mcp-realm" \
      "$(curl -s "http://$host:$proxy_port/.well-known/oauth-authorization-server" | jq -r .issuer)"
  done
  token "$hostname" mcp-realm -d client_id=mcp-test-client -d grant_type=password -d username=alice -d password=alice123 -d scope=mcp:read
  same 'proxy: a token through it' "$hostname/realms/mcp-realm email mcp:read profile $audience" "$said"

  # headers CURL ARGS…: the status line and the CORS headers, in order.
  headers() { curl -s -o /dev/null -D - "$@" | tr -d '\r' | sed -n -e '1p' -e '/^access-control-\(allow-\(origin\|headers\)\)/Ip'; }
  inspector=http://localhost:6274
  # preflight ORIGIN URL
  preflight() { headers -X OPTIONS -H "Origin: $1" -H 'Access-Control-Request-Method: GET' -H 'Access-Control-Request-Headers: mcp-protocol-version' "$2"; }
  path=realms/mcp-realm/.well-known/oauth-authorization-server
  case $(preflight "$inspector" "$direct/$path") in
    *[Mm][Cc][Pp]-Protocol-Version*) fail 'Keycloak itself refuses a browser MCP-Protocol-Version: the proxy would not be needed' ;;
    *) ok 'Keycloak itself refuses a browser MCP-Protocol-Version' ;;
  esac
  for path in "$path" .well-known/oauth-authorization-server realms/mcp-realm/protocol/openid-connect/token; do
    same "proxy: preflight of /$path" \
      "HTTP/1.1 204 No Content|Access-Control-Allow-Origin: $inspector|Access-Control-Allow-Headers: Authorization, Content-Type, Accept, DPoP, MCP-Protocol-Version" \
      "$(preflight "$inspector" "$hostname/$path" | paste -sd '|')"
  done
  same "proxy: a stranger's preflight" 'HTTP/1.1 204 No Content' "$(preflight https://evil.example "$hostname/$path")"
  same 'proxy: nor one that only begins like this machine' 'HTTP/1.1 204 No Content' "$(preflight http://localhost.evil.example "$hostname/$path")"
  same "proxy: Keycloak's own header is not doubled" "HTTP/1.1 200 OK|Access-Control-Allow-Origin: $inspector" \
    "$(headers -H "Origin: $inspector" "$hostname/.well-known/oauth-authorization-server" | paste -sd '|')"
  same 'proxy: an error that Keycloak keeps from a browser is readable' "HTTP/1.1 403 Forbidden|Access-Control-Allow-Origin: $inspector" \
    "$(headers -H "Origin: $inspector" "$hostname/realms/mcp-realm/protocol/openid-connect/token" \
      -d client_id=mcp-test-client -d grant_type=password -d username=alice -d password=alice123 | paste -sd '|')"
  same 'proxy: a Host that is not this machine' 421 "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' "$hostname/")"
  same "proxy: a caller's X-Forwarded-Host and -Proto change nothing" "$hostname/realms/mcp-realm" \
    "$(curl -s -H 'X-Forwarded-Host: evil.example' -H 'X-Forwarded-Proto: https' -H 'Forwarded: host=evil.example' "$hostname/.well-known/oauth-authorization-server" | jq -r .issuer)"
  stranger=(-H 'X-Forwarded-For: 8.8.8.8')
  if [ "$(register "$direct" mcp-realm http://127.0.0.1/callback "${stranger[@]}")" = 201 ]; then fail 'Keycloak heeds X-Forwarded-For'; else ok 'Keycloak heeds X-Forwarded-For'; fi
  same "proxy: a caller's does not get that far" 201 "$(register "$hostname" mcp-realm http://127.0.0.1/callback "${stranger[@]}")"
  # The code flow to its end, with a state as long as some clients' and with cookies of other servers of this machine.
  long=$(printf 'x%.0s' {1..12000})
  state_sent=${long:0:3900}
  page=$(curl -s -G -c "$work/jar" -H "Cookie: other=$long" "$hostname/realms/mcp/protocol/openid-connect/auth" -d response_type=code \
    -d client_id=mcp-client -d redirect_uri=http://localhost:51234/callback -d "state=$state_sent" "${challenge[@]}")
  form=$(sed -n 's/.*<form id="kc-form-login"[^>]* action="\([^"]*\)".*/\1/p' <<<"$page" | sed 's/&amp;/\&/g')
  # They are Secure, which browsers take for loopback, and curl does not.
  cookies=$(sed 's/^#HttpOnly_//' "$work/jar" | awk -F '\t' 'NF >= 7 { printf "%s=%s; ", $6, $7 }')
  landed=$(curl -s -o /dev/null -w '%{redirect_url}' -H "Cookie: $cookies" "${form:-$hostname/no-form}" -d username=mcp-user -d password=user123)
  case $landed in
    "http://localhost:51234/callback?"*"state=$state_sent"*"&code="*) ok 'proxy: a login' ;;
    *) fail 'proxy: a login' "page: ${page:0:300}"$'\n'"redirect: ${landed:0:100}" ;;
  esac
  # The verifier of RFC 7636 appendix B, whose challenge was sent.
  token "$hostname" mcp -u mcp-client:mcp-client-secret -d grant_type=authorization_code -d "code=${landed##*code=}" \
    -d redirect_uri=http://localhost:51234/callback -d code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
  same 'proxy: and its token' "$hostname/realms/mcp $all http://localhost:3000/mcp mcp-client" "$said"
  head -c 300000 /dev/zero | tr '\0' x >"$work/large"
  same 'proxy: a body that nobody needs' 413 "$(curl -s -o /dev/null -w '%{http_code}' "$hostname/realms/mcp/protocol/openid-connect/token" --data-binary "@$work/large")"
  same 'proxy: stop' stopped "$("$proxy" stop --state "$work/proxy")"
  refused 'proxy: and status' 1 'not running' "$proxy" status --state "$work/proxy"
  start_proxy --realm mcp >"$work/out"
  same "proxy: another realm's metadata" "$hostname/realms/mcp" "$(curl -s "$hostname/.well-known/oauth-authorization-server" | jq -r .issuer)"
  "$proxy" stop --state "$work/proxy" >/dev/null
  proxy_port=$(free)
  case $(start_proxy) in
    *"Keycloak's issuer is $hostname/realms/mcp-realm, not http://localhost:$proxy_port/realms/mcp-realm"*) ok 'proxy: it says when Keycloak is published as something else' ;;
    *) fail 'proxy: it says when Keycloak is published as something else' ;;
  esac
  hostname=http://localhost:$proxy_port
else
  skip 'the proxy' 'nginx is missing'
fi

same 'stop' stopped "$("$keycloak" stop --state "$state")"
refused 'then status' 1 'not running' "$keycloak" status --state "$state"
same 'and nobody listens' 000 "$(curl -s -o /dev/null -w '%{http_code}' "$direct/" || true)"
same 'stop once more' 'not running' "$("$keycloak" stop --state "$state")"
if $nginx; then
  refused 'proxy: Keycloak is down, and it says what to do' 0 "Start it: scripts/keycloak.sh start --proxy" curl -s -D - "$hostname/"
  same 'proxy: which a browser can read' "HTTP/1.1 502 Bad Gateway|Access-Control-Allow-Origin: $inspector" "$(headers -H "Origin: $inspector" "$hostname/" | paste -sd '|')"
fi
"$keycloak" reset --state "$state" >/dev/null
same 'reset: the database is gone' '' "$(find "$state" -name '*.db')"
echo "        the real part took $((SECONDS - begun)) s"
summary
