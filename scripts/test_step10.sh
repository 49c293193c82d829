#!/usr/bin/env bash
# Step 10: flags, environment, env file, defaults: what wins, what is refused, and what then runs: signatures or
# introspection, our keys or those of MCP's own tutorial. The same assertions for mcp-idp and for Keycloak.
source "$(dirname "$0")/lib.sh"
build step10 gen-token
source scripts/provider.sh
step10=$PWD/$target/debug/step10
header() { awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }' <<<"$head"; }
# ask TOKEN METHOD [PARAMS]
ask() { post "$(request "$2" "${3:-{\}}")" -H "Authorization: Bearer $1"; }
call() { ask "$1" tools/call "$(jq -cn --arg name "$2" --argjson arguments "${3:-{\}}" '{name: $name, arguments: $arguments}')"; }
sum='{"a":1,"b":2}'
log_has() { if grep -q "$2" "$server_log"; then ok "$1"; else fail "$1" "$(tail -n 5 "$server_log")"; fi; }

# file LINES…: an env file, at $env.
env=$work/x.env
file() { printf '%s\n' "$@" >"$env"; }
# refused NAME EXPECTED [ARGS…]: with $env it does not start, and says what is wrong and where.
refused() {
  local name=$1 expected=$2 code=0
  shift 2
  timeout 20 "$step10" --env "$env" --port 0 "$@" >"$work/out" 2>&1 || code=$?
  case $code/$(cat "$work/out") in
    1/*"$expected"*) ok "refused: $name" ;;
    *) fail "refused: $name" "exit $code: $(cat "$work/out")" ;;
  esac
}
# from SETTING [ARGS…]: what --print-config says of a setting first, which is what won.
from() {
  local setting=$1
  shift
  "$step10" --print-config "$@" 2>&1 | sed -n "s/^$setting  *//p" | head -n 1 | tr -s ' '
}

echo '-- bad input'
file 'KEYCLOAK_URL=http://idp.example.com'
refused 'plain http to another machine' "KEYCLOAK_URL ($env:1): "
file '# a comment' 'KEYCLOAK_URL=nonsense'
refused 'no URL' "KEYCLOAK_URL ($env:2): "
file 'PORT=99999'
refused 'no port' "PORT ($env:1): "
file 'JWT_ISSUER=https://one.example' 'AUTH_ISSUER=https://two.example'
refused 'two keys that set one thing differently' 'AUTH_ISSUER'
same 'both are named, with their lines' 2 "$(grep -oE "(JWT|AUTH)_ISSUER \($env:[12]\)" "$work/out" | sort -u | wc -l)"
file 'JWT_ISSUER=https://idp.example' 'JWKS_URL=https://elsewhere.example/jwks'
refused 'keys from elsewhere than the issuer' "JWKS_URL ($env:2)"
file 'TRANSPORT=sse'
refused 'a transport of 2024' 'Streamable HTTP'
file 'JWT_SECRET=hunter2hunter2'
refused 'a shared secret' 'JWT_SECRET'
same 'which is not repeated' 0 "$(grep -c hunter2 "$work/out" || true)"
file OAUTH_CLIENT_ID=echo-mcp-server OAUTH_CLIENT_SECRET=
refused 'a client whose secret was forgotten: revoked tokens would be good' "OAUTH_CLIENT_ID ($env:1): a client needs its secret"
file 'PORT=9000' 'PORT=9001'
refused 'a key twice' ':2'
file 'this is no line'
refused 'no line of an env file' "$env"
rm "$env"
refused 'a file that is not there' 'no such file'

echo '-- what wins'
file 'PORT=9100' 'KEYCLOAK_REALM=file' 'OAUTH_CLIENT_ID=c' 'OAUTH_CLIENT_SECRET=file-secret'
(cd "$work" && from PORT) >"$work/default"
same 'a default, where nothing is said' '9000 default' "$(cat "$work/default")"
same 'with a line about the file that is not there' 1 "$(cd "$work" && timeout 5 "$step10" --port 0 2>&1 | grep -c 'envs/keycloak_direct.env: there is no such file' || true)"
same 'the file beats the default' "9100 $env:1 PORT" "$(from PORT --env "$env")"
same 'the environment beats the file' '9200 environment PORT' "$(PORT=9200 from PORT --env "$env")"
same 'a flag beats the environment' '9300 --port' "$(PORT=9200 from PORT --env "$env" --port 9300)"
same 'under another name too' 'https://other.example environment AUTH_ISSUER' \
  "$(AUTH_ISSUER=https://other.example from JWT_ISSUER --env "$env" | sed 's/ (.*//')"
same 'what follows from a setting follows' 'http://localhost:9300/mcp PORT and MCP_PATH' "$(from MCP_SERVER_URL --env "$env" --port 9300 | sed 's/default, of //')"
same 'no secret is shown' 0 "$("$step10" --env "$env" --print-config 2>&1 | grep -c file-secret || true)"
for given in envs/*.env; do
  same "$given is good" 0 "$("$step10" --env "$given" --print-config >"$work/out" 2>&1; echo $?)"
done
file 'KEYCLOAK_REALMS=x'
start_program step10 "$step10" --env "$env" --port 0
log_has 'a key that nobody knows is a warning, with the nearest that somebody does' 'KEYCLOAK_REALMS.*KEYCLOAK_REALM?'

echo '-- a plain JWT setup'
gen_token() { "$target/debug/gen-token" --key-dir "$work/$1" --alg RS256 "${@:2}"; }
if command -v openssl >/dev/null; then
  gen_token ours --generate-keys >/dev/null
  gen_token other --generate-keys >/dev/null
  openssl pkey -in "$work"/ours/*.private.pem -pubout -out "$work/public.pem"
  file AUTH_ISSUER=https://idp.example AUTH_AUDIENCE=my-api "JWT_PUBLIC_KEY=$work/public.pem"
  start_program step10 "$step10" --env "$env" --port 0
  for given in 'ours my-api 200' 'ours other-api 401' 'other my-api 401'; do
    read -r keys audience expected <<<"$given"
    ask "$(gen_token "$keys" --issuer https://idp.example --audience "$audience" --raw)" ping
    same "a token of $keys, for $audience" "$expected" "$status"
  done
  same '/health says how it is checked' '["signature",null]' "$(curl -s "$base/health" | jq -c '.identity_provider | [.checked_by, .reachable]')"
else
  skip 'JWT_PUBLIC_KEY' 'needs openssl to make a public PEM'
fi

echo '-- behind a proxy'
file 'MCP_SERVER_URL=https://mcp.example.com/mcp' 'JWT_ISSUER=https://idp.example'
start_program step10 "$step10" --env "$env" --port 0
post "$(request ping)" -H 'Host: mcp.example.com'
same 'clients come by the public name, and are told by it where to look' \
  '401 resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"' \
  "$status $(header www-authenticate | grep -o 'resource_metadata="[^"]*"')"
post "$(request ping)" -H 'Host: elsewhere.example.com'
same 'and by no other: a name that somebody else has pointed here' 421 "$status"

health() { curl -s "$base/health" | jq -c '.identity_provider | [.issuer, .checked_by, .reachable, (.age_seconds | type)]'; }
eventually() {
  local name=$1 expected=$2 actual='' tries
  for ((tries = 0; tries < 150; tries++)); do
    actual=$(health)
    [ "$actual" != "$expected" ] || break
    sleep 0.1
  done
  same "$name" "$expected" "$actual"
}

providers
for provider in "${providers[@]}"; do
  echo "-- $provider: signatures"
  server_port=$(free_port)
  provide "$provider" "$server_port"
  file "KEYCLOAK_URL=$provider_url" "KEYCLOAK_REALM=$realm" "PORT=$server_port"
  start_program step10 "$step10" --env "$env"
  eventually "$provider: /health knows the provider and how old its keys are" "[\"$issuer\",\"signature\",true,\"number\"]"
  password alice
  call "$token" add "$sum"
  same "$provider: alice calls a tool" 3 "$(jq .result.structuredContent.result <<<"$body")"
  password alice mcp:read
  while read -r method params expected; do
    ask "$token" "$method" "$params"
    same "$provider: mcp:read and $method" "$expected" "$status"
  done <<'TABLE'
tools/list {} 200
prompts/list {} 200
tools/call {"name":"echo","arguments":{"message":"x"}} 403
prompts/get {"name":"help"} 403
TABLE
  same "$provider: a prompt has a scope of its own here" 'scope="mcp:read mcp:prompts"' "$(header www-authenticate | grep -o 'scope="[^"]*"')"

  echo "-- $provider: introspection"
  file "KEYCLOAK_URL=$provider_url" "KEYCLOAK_REALM=$realm" "PORT=$(free_port)" "MCP_SERVER_URL=http://localhost:$server_port/mcp" \
    OAUTH_CLIENT_ID=echo-mcp-server OAUTH_CLIENT_SECRET=echo-mcp-server-secret
  start_program step10 "$step10" --env "$env"
  log_has "$provider: a token of its own is tried before anybody's" 'the identity provider answers about tokens'
  password mcp-user
  call "$token" whoami
  same "$provider: a good token, and who it is" "200 mcp-user" "$status $(jq -r .result.structuredContent.name <<<"$body")"
  same "$provider: /health says so" "[\"$issuer\",\"introspection\",true,\"number\"]" "$(health)"
  # Its own revocation endpoint: not only signatures can say that a token is good.
  curl -s -o /dev/null "$oidc/revoke" -d client_id=mcp-test-client -d "token=$token"
  sleep 1.1
  call "$token" whoami
  same "$provider: a token that was revoked a second ago" '401 the token has expired, was revoked, or was never issued' \
    "$status $(jq -r .error.message <<<"$body")"
  ask e30.e30.e30 ping
  same "$provider: a made-up token" 401 "$status"
  sed -i 's/^OAUTH_CLIENT_SECRET=.*/OAUTH_CLIENT_SECRET=wrong/' "$env"
  refused "$provider: a wrong client secret ends the server, which names the client" 'the client secret of "echo-mcp-server" is wrong'
  same "$provider: and not the secret" 0 "$(grep -c '=wrong\|"wrong"' "$work/out" || true)"

  echo "-- $provider: the tutorial's .env"
  server_port=$(free_port)
  resource_path='' provide "$provider" "$server_port"
  file '# Server host/port' HOST=localhost "PORT=$server_port" '' '# Auth server location' AUTH_HOST=localhost \
    "AUTH_PORT=${provider_url##*:}" "AUTH_REALM=$realm" '' '# Keycloak OAuth client credentials' \
    OAUTH_CLIENT_ID=echo-mcp-server OAUTH_CLIENT_SECRET=echo-mcp-server-secret
  start_program step10 "$step10" --env "$env"
  here=$base
  same "$provider: the resource is the bare origin" "http://localhost:$server_port [\"mcp:tools\"]" \
    "$(curl -s "$here/.well-known/oauth-protected-resource" | jq -r '"\(.resource) \(.scopes_supported)"')"
  # at TOKEN METHOD [PARAMS]: the endpoint is / here.
  at() {
    status=$(curl -s -o "$work/body" -D "$work/head" -w '%{http_code}' "$here/" -H 'Content-Type: application/json' \
      ${1:+-H "Authorization: Bearer $1"} -d "$(request "$2" "${3:-{\}}")")
    body=$(cat "$work/body") head=$(tr -d '\r' <"$work/head")
  }
  at '' ping
  same "$provider: the challenge names the one scope" '401 scope="mcp:tools"' "$status $(header www-authenticate | grep -o 'scope="[^"]*"')"
  password alice mcp:tools
  at "$token" tools/call '{"name":"add","arguments":{"a":1,"b":2}}'
  same "$provider: which opens everything" 3 "$(jq .result.structuredContent.result <<<"$body")"
  at "$token" prompts/get '{"name":"help"}'
  same "$provider: prompts too" 200 "$status"
  password alice mcp:read
  for method in tools/list prompts/list; do
    at "$token" "$method"
    same "$provider: without it not even $method" '403 scope="mcp:tools"' "$status $(header www-authenticate | grep -o 'scope="[^"]*"')"
  done
  file "AUTH_REALM=$realm" "AUTH_PORT=${provider_url##*:}" "PORT=$(free_port)" OAUTH_STRICT=false
  start_program step10 "$step10" --env "$env"
  here=$base
  password alice mcp:tools
  log_has "$provider: OAUTH_STRICT=false is heard" OAUTH_STRICT
  for ((tries = 0; tries < 100; tries++)); do
    at "$token" ping
    [ "$status" = 503 ] || break
    sleep 0.1
  done
  same "$provider: and the audience is checked all the same" '401 the token is for another audience' "$status $(jq -r .error.message <<<"$body")"

  # What Keycloak's realm lacks after the tutorial: its server may not introspect.
  [ "$provider" = keycloak ] || continue
  for scope in $(admin GET "$realm/client-scopes" | jq -r '.[] | select(.name == "mcp:tools") | .id'); do
    mapper=$(admin GET "$realm/client-scopes/$scope" | jq -r '.protocolMappers[] | select(.config["included.client.audience"]) | .id')
    admin DELETE "$realm/client-scopes/$scope/protocol-mappers/models/$mapper"
  done
  file "AUTH_REALM=$realm" "AUTH_PORT=${provider_url##*:}" "PORT=$server_port" OAUTH_CLIENT_ID=echo-mcp-server \
    OAUTH_CLIENT_SECRET=echo-mcp-server-secret
  kill "$server_pid"
  start_program step10 "$step10" --env "$env" --port 0
  log_has 'keycloak: a realm that lacks the mapper for introspection is found out at start' 'Included Client Audience'
done
printf -- '-- ran against: %s\n' "${providers[*]}"
summary
