#!/usr/bin/env bash
# Step 9: Keycloak is the authorization server. The same assertions with mcp-idp in its place, which has the same URLs;
# the last line but one names which ran.
source "$(dirname "$0")/lib.sh"
build step8 step9 gen-token
source scripts/provider.sh
header() { awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }' <<<"$head"; }
# ask TOKEN METHOD [PARAMS]
ask() { post "$(request "$2" "${3:-{\}}")" -H "Authorization: Bearer $1"; }
call() { ask "$1" tools/call "$(jq -cn --arg name "$2" --argjson arguments "${3:-{\}}" '{name: $name, arguments: $arguments}')"; }
sum='{"a":1,"b":2}'
# serve PORT [ARGS…]: step 9 before the provider that runs.
serve() { start_program step9 "$target/debug/step9" --port "$1" --keycloak-url "$provider_url" --realm "$realm" "${@:2}"; }
# eventually NAME EXPECTED COMMAND…: what a server finds out by itself takes a moment.
eventually() {
  local name=$1 expected=$2 actual='' tries
  shift 2
  for ((tries = 0; tries < 150; tries++)); do
    actual=$("$@")
    [ "$actual" != "$expected" ] || break
    sleep 0.1
  done
  same "$name" "$expected" "$actual"
}
health() { curl -s "$base/health" | jq -c .jwks_available; }

# refused NAME EXPECTED ARGS…: it does not start, or does not finish, and says why.
refused() {
  local name=$1 expected=$2 code=0
  shift 2
  timeout 60 "$target/debug/step9" --port 0 "$@" >"$work/out" 2>&1 || code=$?
  case $code/$(cat "$work/out") in
    [12]/*"$expected"*) ok "$name" ;;
    *) fail "$name" "exit $code: $(cat "$work/out")" ;;
  esac
}
refused 'Keycloak without TLS on another machine: its keys could be anybody'"'"'s' 'http is for loopback hosts' --keycloak-url http://idp.example
refused 'no URL at all' 'keycloak' --keycloak-url keycloak

# Without a provider there is a server, which says so.
nowhere=$(free_port)
provider_url=http://localhost:$nowhere realm=mcp-realm
server_port=$(free_port)
# With a slash at its end it is the same URL.
provider_url+=/
serve "$server_port"
"$target/debug/gen-token" --key-dir "$work/keys" --alg RS256 --generate-keys >/dev/null
handmade=$("$target/debug/gen-token" --key-dir "$work/keys" --server "$base" --raw)
post "$(request ping)"
same 'without a provider a stranger is told where to log in all the same' 401 "$status"
ask "$handmade" ping
same 'and who has a token is told to come back' '503 5' "$status $(header retry-after)"
same 'in words' 'the server has no keys to verify tokens with yet' "$(jq -r .error.message <<<"$body")"
same 'without a challenge: a new login would not help' '' "$(header www-authenticate)"
same 'the log says it once' 1 "$(grep -c "WARN.*localhost:$nowhere" "$server_log" || true)"
same '/health says so too' false "$(health)"
before=$base
provide mcp-idp "$server_port" "$nowhere"
base=$before
password alice
eventually 'the provider comes, and the server finds it by itself' true health
ask "$token" ping
same 'a token is good now' 200 "$status"
kill "$provider_pid"
ask "$token" ping
same 'the provider goes: the keys are known, so nothing changes' 200 "$status"

providers
for provider in "${providers[@]}"; do
  printf -- '-- %s\n' "$provider"
  server_port=$(free_port)
  provide "$provider" "$server_port"
  serve "$server_port"
  eventually "$provider: the keys are there" true health
  post "$(request ping)"
  prm="$base/.well-known/oauth-protected-resource/mcp"
  same "$provider: a stranger is told where to look, and every scope, since nobody can ask for more later" \
    "401 resource_metadata=\"$prm\" scope=\"mcp:read mcp:tools mcp:prompts mcp:run\"" \
    "$status $(header www-authenticate | grep -o 'resource_metadata="[^"]*"') $(header www-authenticate | grep -o 'scope="[^"]*"')"
  same "$provider: the metadata leads to the provider" "$issuer" "$(curl -s "$prm" | jq -r '.authorization_servers[0]')"
  same "$provider: which says of itself what it is" "$issuer" "$(curl -s "$(curl -s "$base/health" | jq -r .authorization_server_metadata)" | jq -r .issuer)"
  ask "$handmade" ping
  same "$provider: a token made by hand is nothing any more" '401 error="invalid_token"' "$status $(header www-authenticate | grep -o 'error="[^"]*"')"

  password alice
  same "$provider: alice gets a token for this server" "http://localhost:$server_port/mcp" \
    "$(claims <<<"$token" | jq -r '[.aud] | flatten | map(select(startswith("http"))) | join(" ")')"
  call "$token" whoami
  same "$provider: the server knows her name, and who says so" "[\"alice\",\"$issuer\"]" \
    "$(jq -c '.result.structuredContent | [.name, .issuer]' <<<"$body")"
  call "$token" add "$sum"
  same "$provider: she calls a tool" 3 "$(jq .result.structuredContent.result <<<"$body")"
  call "$token" server_stats
  same "$provider: but not what is for admins" 'Forbidden: calling "server_stats" needs the role admin' "$(jq -r .error.message <<<"$body")"
  password mcp-admin
  call "$token" server_stats
  same "$provider: an admin does: the role comes from the provider" 200 "$status"
  password mcp-readonly
  call "$token" add "$sum"
  same "$provider: who may only read does not call" '403 mcp:read' "$status $(tr ' ' '\n' <<<"$scope" | grep ^mcp: | xargs)"
  ask "$token" tools/list
  same "$provider: but lists" 200 "$status"
  token=$(curl -s "$oidc/token" -u echo-mcp-server:echo-mcp-server-secret -d grant_type=client_credentials -d 'scope=mcp:read mcp:tools' | jq -r .access_token)
  call "$token" echo '{"message":"x"}'
  same "$provider: a program calls with client credentials" 200 "$status"
  password alice mcp:read
  call "$token" add "$sum"
  same "$provider: a token with less is told what is missing" 'scope="mcp:read mcp:tools"' "$(header www-authenticate | grep -o 'scope="[^"]*"')"

  # A token of the same realm for another server: the realm is everybody's, the audience is ours.
  password alice
  start_program step9 "$target/debug/step9" --port 0 --keycloak-url "$provider_url" --realm "$realm"
  eventually "$provider: another server of this realm" true health
  ask "$token" ping
  same "$provider: does not take a token that is for the first" '401 the token is for another audience' "$status $(jq -r .error.message <<<"$body")"
  start_program step9 "$target/debug/step9" --port "$(free_port)" --keycloak-url "$provider_url" --realm nowhere
  post "$(request ping)" -H "Authorization: Bearer $token"
  same "$provider: a realm that is not there has no keys" 503 "$status"
done

# --setup makes a realm of its own, through Keycloak's Admin REST API: nothing that mcp-idp has.
set_up() { "$target/debug/step9" --setup --keycloak-url "$KEYCLOAK_TEST_URL" --realm "$realm" --port "$1" >"$work/made" 2>&1; }
if [[ " ${providers[*]} " == *' keycloak '* ]]; then
  realm=mcp-test-$RANDOM$RANDOM server_port=$(free_port)
  at_exit "admin DELETE $realm"
  set_up "$server_port" && code=0 || code=$?
  same '--setup makes a realm, and finds it good' '0 1' "$code $(grep -c "^made.*$realm" "$work/made")"
  set_up "$server_port" && code=0 || code=$?
  same '--setup a second time makes nothing, and finds it good' '0 0' "$code $(grep -c '^made' "$work/made" || true)"
  same 'it has tried what a client will do' '0 failed' "$(grep -o '[0-9]* failed' "$work/made")"
  refused '--setup with a wrong password says so' 'does not let "admin" administer it' \
    --setup --keycloak-url "$KEYCLOAK_TEST_URL" --realm "$realm" --admin-password wrong
  # What somebody has deleted comes back, and nothing else is touched.
  id=$(admin GET "$realm/client-scopes" | jq -r '.[] | select(.name == "mcp:run") | .id')
  admin DELETE "$realm/client-scopes/$id"
  set_up "$server_port" && code=0 || code=$?
  same 'a scope that was deleted is made again, and given to no client that was there' 1 "$code"
  same 'and nothing but that' 'mcp:run' "$(sed -n '/^made/s/.*\(mcp:[a-z]*\).*/\1/p' "$work/made" | sort -u | xargs)"
  set_up "$(free_port)" && code=0 || code=$?
  same 'a realm that is for another server is found out' "1 yes" "$code $(grep -q "http://localhost:$server_port/mcp" "$work/made" && echo yes)"
else
  skip 'step9 --setup' 'needs Keycloak'
fi
printf -- '-- ran against: %s\n' "${providers[*]}"
summary
