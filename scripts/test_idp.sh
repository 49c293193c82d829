#!/usr/bin/env bash
# mcp-idp alone: Keycloak's URLs, from the realm file that Keycloak imports.
source "$(dirname "$0")/lib.sh"
cargo build --quiet -p mcp-idp
realm=keycloak/mcp-realm-realm.json
idp() { "$target/debug/mcp-idp" --realm-file "$realm" --key-dir "$work/keys" --port 0 "$@"; }
# refused NAME EXPECTED ARGS…: it does not start, and says why.
refused() {
  local name=$1 expected=$2 code=0
  shift 2
  timeout 20 "$target/debug/mcp-idp" --key-dir "$work/keys" "$@" >"$work/out" 2>&1 || code=$?
  case $code/$(cat "$work/out") in
    1/*"$expected"* | 2/*"$expected"*) ok "$name" ;;
    *) fail "$name" "exit $code: $(cat "$work/out")" ;;
  esac
}
claims() { cut -d. -f2 | jq -Rc 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson'; }

refused 'without a realm file it says what it needs' '--realm-file <REALM_FILE>'
refused 'a file that is not there' 'nowhere.json cannot be read' --realm-file nowhere.json
echo '{' >"$work/broken.json"
refused 'one that is not JSON' 'is not JSON' --realm-file "$work/broken.json"
jq '.users[1].username = 7' "$realm" >"$work/bent.json"
refused 'one that is bent: it says where' 'users[1].username' --realm-file "$work/bent.json"
refused 'an issuer without TLS that is not on this machine' 'an issuer is an https URL' --realm-file "$realm" --port 0 --public-url http://idp.example

start_program mcp-idp idp --algorithm ES256
same 'it reads the file without a complaint' 0 "$(grep -c 'WARN' "$server_log" || true)"
issuer="$base/realms/mcp-realm"
for path in /.well-known/oauth-authorization-server/realms/mcp-realm /.well-known/openid-configuration/realms/mcp-realm \
  /realms/mcp-realm/.well-known/openid-configuration /realms/mcp-realm/.well-known/oauth-authorization-server; do
  same "metadata at $path" "$issuer" "$(curl -s "$base$path" | jq -r .issuer)"
done
oidc="$issuer/protocol/openid-connect"
password() {
  status=$(curl -s -o "$work/body" -w '%{http_code}' "$oidc/token" -d grant_type=password -d client_id=mcp-test-client \
    -d username="$1" -d password="$2" -d "scope=openid profile email mcp:read mcp:tools mcp:prompts")
  body=$(cat "$work/body")
}
password mcp-admin admin123
same 'no password grant, unless --allow-password-grant' '400 unsupported_grant_type' "$status $(jq -r .error <<<"$body")"
token=$(curl -s "$oidc/token" -u echo-mcp-server:echo-mcp-server-secret -d grant_type=client_credentials | jq -r .access_token)
same 'a client gets a token for itself, for the audience of the realm' '["http://localhost:9000/mcp","service-account-echo-mcp-server"]' \
  "$(claims <<<"$token" | jq -c '[.aud, .sub]')"
kid=$(cut -d. -f1 <<<"$token" | jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | "\(.alg) \(.kid)"')
same 'signed with the algorithm of the flag, by a published key' "$kid" \
  "$(curl -s "$oidc/certs" | jq -r '.keys[] | select(.alg == "ES256") | "\(.alg) \(.kid)"')"
same 'introspection knows it' true "$(curl -s "$oidc/token/introspect" -u echo-mcp-server:echo-mcp-server-secret -d "token=$token" | jq .active)"
same 'revocation' 200 "$(curl -s -o /dev/null -w '%{http_code}' "$oidc/revoke" -u echo-mcp-server:echo-mcp-server-secret -d "token=$token")"
same 'ends it' '{"active":false}' "$(curl -s "$oidc/token/introspect" -u echo-mcp-server:echo-mcp-server-secret -d "token=$token")"
same 'clients register where Keycloak has it' 201 "$(curl -s -o /dev/null -w '%{http_code}' "$issuer/clients-registrations/openid-connect" \
  -H 'Content-Type: application/json' -d '{"redirect_uris":["http://localhost/callback"]}')"
refused 'a port that is taken: it says so' 'Address already in use' --realm-file "$realm" --port "$port"

start_program mcp-idp idp --allow-password-grant --access-token-lifetime 60
oidc="$base/realms/mcp-realm/protocol/openid-connect"
for person in mcp-admin/admin123 mcp-user/user123 alice/alice123; do
  password "${person%/*}" "${person#*/}"
  same "${person%/*} gets what there is" '200 mcp:prompts mcp:read mcp:tools 60' "$status $(jq -r '"\(.scope) \(.expires_in)"' <<<"$body")"
done
password bob bob123
same 'bob gets what his role allows' 'mcp:read' "$(jq -r .scope <<<"$body")"
password guest guest123
same 'a guest gets no token' '400 invalid_scope' "$status $(jq -r .error <<<"$body")"
for try in 1 2 3; do
  password alice wrong
  same "a wrong password, $try" '400 invalid_grant' "$status $(jq -r .error <<<"$body")"
done
password alice alice123
same 'then it is too soon, also for the right one (429)' 429 "$status"
password bob bob123
same 'which bob does not notice' 200 "$status"

jq '.clients[0].redirectUris += ["http://localhost:*/x"]' "$realm" >"$work/wild.json"
realm="$work/wild.json"
start_program mcp-idp idp
if grep -q 'WARN.*http://localhost:\*/x' "$server_log"; then ok 'what is not honoured is named at start'; else fail 'what is not honoured is named at start' "$(cat "$server_log")"; fi
summary
