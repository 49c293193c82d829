# Sourced by the tests that run against an identity provider with Keycloak's URLs: mcp-idp always, and Keycloak where it
# can be had. What is asserted is the same for both.
#
#   run_keycloak STATE [ARGS…]    starts one with scripts/keycloak.sh; sets $KEYCLOAK_TEST_URL
#   providers                     sets $providers to those that can be run; skips the others by name
#   provide NAME PORT             starts one (Keycloak once for all) that knows the people of the tutorial, for an MCP
#                                 server at http://localhost:PORT/mcp ($resource_path changes the path); sets $provider,
#                                 $provider_url, $realm, $issuer, $oidc and $provider_pid (of mcp-idp)
#   free_port                     prints one that nobody listens at
#   password USER [SCOPE]         a token by the password grant: sets $status, $body, $token, $scope
#   claims                        what the token on standard input says
#   admin METHOD PATH [CURL ARGS…]  Keycloak's Admin REST API, below /admin/realms
#
# A Keycloak that runs for tests is named by KEYCLOAK_TEST_URL (administrator admin, admin), or `none`; without it one is
# started, unless it would have to be downloaded first.
cargo build --quiet -p mcp-idp

free_port() {
  local port
  # Above it the kernel gives ports to whoever asks for any.
  for ((;;)); do
    port=$((20000 + RANDOM % 10000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# run_keycloak STATE [ARGS…]: fails without one, and says why; else sets and exports $KEYCLOAK_TEST_URL.
run_keycloak() {
  local port
  port=$(free_port)
  scripts/keycloak.sh start --port "$port" --state "$@" || return
  export KEYCLOAK_TEST_URL=http://localhost:$port
}

providers() {
  providers=(mcp-idp)
  if [ -z "${KEYCLOAK_TEST_URL:-}" ]; then
    at_exit "scripts/keycloak.sh stop --state $work/keycloak >/dev/null 2>&1"
    run_keycloak "$work/keycloak" --no-download >"$work/keycloak.log" 2>&1 || KEYCLOAK_TEST_URL=none
  fi
  if [ "$KEYCLOAK_TEST_URL" = none ]; then
    skip "${0##*/} against Keycloak" "$(tail -n 1 "$work/keycloak.log" 2>/dev/null || echo 'there is none here')"
  else
    providers+=(keycloak)
  fi
}

provide() {
  provider=$1
  realm=mcp-realm
  # In one Keycloak, a realm for each test.
  [ "$1" = mcp-idp ] || realm=mcp-test-$RANDOM$RANDOM
  sed "s|http://localhost:9000/mcp|http://localhost:$2${resource_path-/mcp}|; s|mcp-realm|$realm|" \
    keycloak/mcp-realm-realm.json >"$work/realm.json"
  case $1 in
    mcp-idp)
      start_program mcp-idp "$target/debug/mcp-idp" --realm-file "$work/realm.json" --key-dir "$work/idp-keys" \
        --port "${3:-0}" --allow-password-grant
      provider_url=$base provider_pid=$server_pid
      ;;
    keycloak)
      provider_url=$KEYCLOAK_TEST_URL
      at_exit "admin DELETE $realm"
      admin POST '' -H 'Content-Type: application/json' -d "@$work/realm.json"
      ;;
  esac
  issuer=$provider_url/realms/$realm oidc=$provider_url/realms/$realm/protocol/openid-connect
}

admin() {
  local token
  token=$(curl -s "$KEYCLOAK_TEST_URL/realms/master/protocol/openid-connect/token" -d grant_type=password -d client_id=admin-cli \
    -d username=admin -d password=admin | jq -r .access_token)
  curl -sS -X "$1" "$KEYCLOAK_TEST_URL/admin/realms/$2" -H "Authorization: Bearer $token" "${@:3}"
}

password() {
  status=$(curl -s -o "$work/body" -w '%{http_code}' "$oidc/token" -d grant_type=password -d client_id=mcp-test-client \
    -d "username=$1" -d "password=${1#mcp-}123" -d "scope=${2:-mcp:read mcp:tools mcp:prompts}")
  body=$(cat "$work/body")
  token=$(jq -r '.access_token // empty' <<<"$body") scope=$(jq -r '.scope // empty' <<<"$body")
}

claims() { cut -d. -f2 | jq -Rc 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson'; }
