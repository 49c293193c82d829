#!/usr/bin/env bash
# Keycloak fails, or changes its mind, while requests flow: it is killed and comes back, its keys are rotated, a token is
# revoked. Step 10 twice: one checks signatures, one asks Keycloak about each token.
#
# Takes two to three minutes, most of them Keycloak's own and those that a removed key may still serve. It is a Keycloak
# of this script's own, since it is killed: KEYCLOAK_TEST_URL is not used, but `none` says that there is none. Needs
# Node >= 20 for the load (scripts/faults/load.mjs). What is missing is skipped by name.
source "$(dirname "$0")/lib.sh"
enough() {
  summary
  exit
}
if ! node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; then
  skip faults 'needs Node >= 20; install it and run again'
  enough
fi
if [ "${KEYCLOAK_TEST_URL:-}" = none ]; then
  skip faults 'there is no Keycloak here'
  enough
fi
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
build step9 step10
source scripts/provider.sh
state=$work/keycloak
at_exit "scripts/keycloak.sh stop --state $state >/dev/null 2>&1"
# Where one runs already, another can.
missing=skip
[ -z "${KEYCLOAK_TEST_URL:-}" ] || missing=fail
if ! run_keycloak "$state" --no-download >"$work/keycloak.log" 2>&1; then
  "$missing" faults "$(tail -n 1 "$work/keycloak.log")"
  enough
fi

# The realm, and two servers for one resource.
resource_port=$(free_port)
provide keycloak "$resource_port"
settings=(--keycloak-url "$provider_url" --realm "$realm" --audience "http://localhost:$resource_port/mcp")
start_program signature "$target/debug/step10" --port "$resource_port" "${settings[@]}"
signature=$base
start_program introspection env OAUTH_CLIENT_ID=echo-mcp-server OAUTH_CLIENT_SECRET=echo-mcp-server-secret \
  "$target/debug/step10" --port 0 "${settings[@]}"
introspection=$base
# Long enough for all of this.
admin PUT "$realm" -H 'Content-Type: application/json' -d '{"accessTokenLifespan": 1800}'
# A good token, of another realm.
STRANGER=$(curl -s "$provider_url/realms/master/protocol/openid-connect/token" -d grant_type=password -d client_id=admin-cli \
  -d username=admin -d password=admin | jq -r .access_token)
export STRANGER

# status URL TOKEN: what a request with it gets.
status() {
  curl -s -o "$work/body" -D "$work/head" -w '%{http_code}' --max-time 20 "$1/mcp" -H "Authorization: Bearer $2" \
    -H 'Content-Type: application/json' -d "$(request ping)"
}
# becomes SECONDS EXPECTED COMMAND…: whether its output does in this time; sets $seconds to how long it took.
becomes() {
  local deadline=$((SECONDS + $1)) expected=$2 begun
  begun=$(now)
  shift 2
  until [ "$("$@")" = "$expected" ]; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
  seconds=$(awk -v from="$begun" -v to="$(now)" 'BEGIN { printf "%.1f", to - from }')
}
now() { jq -n now; }
# within NAME SECONDS EXPECTED COMMAND…
within() {
  local name=$1
  shift
  if becomes "$@"; then ok "$name (after $seconds s)"; else fail "$name" "not within $1 s: $("${@:3}") and not $2"; fi
}
healthy() { curl -s "$1/health" | jq -r '.identity_provider | "\(.checked_by) \(.reachable)"'; }
within 'one has the keys' 20 'signature true' healthy "$signature"
within 'the other knows whom to ask' 20 'introspection true' healthy "$introspection"

# flow NAME FD URL RATE [minting]: requests in the background, which are told on this descriptor how things are.
flow() {
  local name=$1 fd=$2 tries
  mkfifo "$work/$name.fifo"
  set -m
  (node scripts/faults/load.mjs "$3/mcp" "$oidc/token" "${@:4}" <"$work/$name.fifo" >"$work/$name.out" 2>"$work/$name.err" ||
    echo $? >"$work/$name.code") &
  set +m
  echo $! >"$work/$name.pid"
  servers+=($!)
  eval "exec $fd>\"\$work/\$name.fifo\""
  for ((tries = 0; tries < 600; tries++)); do
    if [ -s "$work/$name.out" ] || ! kill -0 "$(cat "$work/$name.pid")" 2>/dev/null; then break; fi
    sleep 0.1
  done
}
# flown NAME FD: it ends, and is judged.
flown() {
  echo end >&"$2"
  wait "$(cat "$work/$1.pid")" || true
  judged "$1:" "$(cat "$work/$1.code" 2>/dev/null || echo 0)" "$work/$1.out" "$work/$1.err"
  eval "exec $2>&-"
  rm "$work/$1.fifo"
}
# crash: what a power cut would do.
crash() {
  local container pid
  container=$(sed -n 's/^container=//p' "$state/running") pid=$(sed -n 's/^pid=//p' "$state/running")
  if [ -n "$container" ]; then docker kill "$container" >/dev/null; else kill -KILL "$pid"; fi
}
keycloak() { curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$issuer/.well-known/openid-configuration"; }

# Keycloak dies and returns. Signatures are checked with the keys that are known; whoever asks about each token has to
# say that nobody answers, and never that the token is bad.
flow signature 7 "$signature" 40
flow introspection 8 "$introspection" 40
for fd in 7 8; do echo '200|Keycloak is there' >&$fd; done
sleep 3
echo '200|Keycloak is killed, is down, returns' >&7
# An answer of a moment ago may still be used.
echo '200 503|Keycloak is killed' >&8
crash
within 'Keycloak is gone' 10 000 keycloak
sleep 2
echo '503|Keycloak is down' >&8
password alice 2>/dev/null || true
same 'nobody can log in' 000 "$status"
sleep 3
same 'who asks about each token says that nobody answers' 'introspection false' "$(healthy "$introspection")"
echo '200 503|Keycloak returns' >&8
begun=$SECONDS
scripts/keycloak.sh start --port "${KEYCLOAK_TEST_URL##*:}" --state "$state" --no-download >"$work/keycloak.log" 2>&1 ||
  fail 'Keycloak returns' "$(cat "$work/keycloak.log")"
printf '  --    Keycloak was back %d s after its start\n' $((SECONDS - begun))
# It may have given up on it, for as long as it does.
within 'who asks is answered again' 40 'introspection true' healthy "$introspection"
for fd in 7 8; do echo '200|Keycloak is back' >&$fd; done
sleep 3
flown signature 7
flown introspection 8

# Its keys change. Meanwhile new tokens are used as soon as there are any.
keys() { admin GET "$realm/components?type=org.keycloak.keys.KeyProvider"; }
kids() { curl -s "$oidc/certs" | jq -r '[.keys[] | select(.use == "sig").kid] | sort | join(" ")'; }
password alice
seen=$token
password alice
unseen=$token
same 'a token of the old key is good' 200 "$(status "$signature" "$seen")"
old=$(kids)
# Without the stranger, whose questions would bring news of the keys.
STRANGER='' flow rotation 7 "$signature" 20 minting
echo '200|one key' >&7
sleep 2
echo '200|a new key signs, and the old one is still there' >&7
realm_id=$(admin GET "$realm" | jq -r .id)
old_id=$(keys | jq -r '.[] | select(.providerId == "rsa-generated").id')
same 'Keycloak makes a new key' 201 "$(admin POST "$realm/components" -o /dev/null -w '%{http_code}' \
  -H 'Content-Type: application/json' -d "$(jq -n --arg realm "$realm_id" '{name: "next", providerId: "rsa-generated",
    providerType: "org.keycloak.keys.KeyProvider", parentId: $realm, config: {priority: ["200"], algorithm: ["RS256"]}}')")"
same 'and has both' 2 "$(kids | wc -w | tr -d ' ')"
password alice
same 'new tokens are of the new key' "$(kids | tr ' ' '\n' | grep -vx "$old")" \
  "$(cut -d. -f1 <<<"$token" | jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson.kid')"
sleep 3
same 'an old token is as good as before' 200 "$(status "$signature" "$seen")"
echo '200|the old key is gone' >&7
same 'Keycloak forgets the old key' 204 "$(admin DELETE "$realm/components/$old_id" -o /dev/null -w '%{http_code}')"
same 'and has one' 1 "$(kids | wc -w | tr -d ' ')"
removed=$SECONDS

# In the minute that this may take: with introspection, what Keycloak has taken back is nothing a second later.
# Without, a token is good until it expires.
revoked() {
  same "$1: good for both before" '200 200' "$(status "$signature" "$token") $(status "$introspection" "$token")"
  "${@:2}"
  within "$1: refused by who asks" 5 401 status "$introspection" "$token"
  same "$1: and not by who does not" 200 "$(status "$signature" "$token")"
}
own() { curl -s -o /dev/null "$oidc/$1" -d client_id=mcp-test-client --data-urlencode "$2"; }
password alice
revoked 'revoked' own revoke "token=$token"
password alice
revoked 'logged out' own logout "refresh_token=$(jq -r .refresh_token <<<"$body")"
password alice
revoked 'logged out by the administrator' admin POST "$realm/users/$(claims <<<"$token" | jq -r .sub)/logout"

# A thousand requests are few questions: Keycloak itself counts them.
admin PUT "$realm/events/config" -H 'Content-Type: application/json' \
  -d '{"eventsEnabled": true, "enabledEventTypes": ["INTROSPECT_TOKEN"]}'
asked() { admin GET "$realm/events?type=INTROSPECT_TOKEN&max=1000" | jq 'length'; }
STRANGER='' flow burst 8 "$introspection" 200 one
echo '200|200 a second' >&8
sleep 5
flown burst 8
questions=$(asked) requests=$(sed -n 's/.* \([0-9]*\) requests.*/\1/p' "$work/burst.out")
if [ "$requests" -ge 500 ] && [ "$questions" -ge 2 ] && [ "$questions" -le 12 ]; then
  ok "$requests requests were $questions questions to Keycloak"
else
  fail "$requests requests were $questions questions to Keycloak" 'one a second'
fi

# Its keys are asked for once a minute at least.
within 'a token of the old key, used before, is refused' $((75 - (SECONDS - removed))) 401 status "$signature" "$seen"
# Another kid may just have been looked for in vain.
within 'and one that was not' 35 401 status "$signature" "$unseen"
flown rotation 7
summary
