#!/usr/bin/env bash
# Step 7: whoever is refused finds a token: metadata, registration, login, consent, and back.
source "$(dirname "$0")/lib.sh"
build step6 step7 gen-token
source scripts/flow.sh
keys="$work/keys"
"$target/debug/gen-token" --key-dir "$keys" --alg RS256 --generate-keys >/dev/null
whoami=$(request tools/call '{"name":"whoami"}')
header() { awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }' <<<"$head"; }

start_server step6 --key-dir "$keys"
post "$whoami"
same 'step 6 only says no' '401 Bearer' "$status $(header www-authenticate)"
same 'and has no metadata' 404 "$(curl -s -o /dev/null -w '%{http_code}' "$base/.well-known/oauth-protected-resource/mcp")"

start_server step7 --key-dir "$keys"
post "$whoami"
prm="$base/.well-known/oauth-protected-resource/mcp"
same 'the challenge says what to ask for, and where to read on' \
  "401 Bearer scope=\"mcp:read\", resource_metadata=\"$prm\"" "$status $(header www-authenticate)"
post "$whoami" -H 'Authorization: Bearer nonsense'
same 'so it does for a bad token' \
  "401 Bearer scope=\"mcp:read\", resource_metadata=\"$prm\", error=\"invalid_token\", error_description=\"the token is not a signed JWT of three parts\"" \
  "$status $(header www-authenticate)"
expected=$(jq -cn --arg base "$base" '{resource: "\($base)/mcp", authorization_servers: [$base], bearer_methods_supported: ["header"], scopes_supported: ["mcp:read", "mcp:tools", "mcp:prompts"]}')
for url in "$prm" "$base/.well-known/oauth-protected-resource"; do
  same "the resource's metadata is at ${url#"$base"}" "$expected" "$(curl -s "$url" | jq -c .)"
done
same 'to a client that says 127.0.0.1 it says 127.0.0.1' "http://127.0.0.1:$port/mcp" \
  "$(curl -s "http://127.0.0.1:$port/.well-known/oauth-protected-resource/mcp" | jq -r .resource)"
same 'to one that says anything else, what is configured' "$base/mcp" "$(curl -s -H 'Host: evil.example' "$prm" | jq -r .resource)"
cors=$(curl -s -o /dev/null -D - -H 'Origin: https://inspector.example' "$prm" | tr -d '\r' | grep -i '^access-control-allow-origin' || true)
same 'any page may read it' 'access-control-allow-origin: *' "${cors,,}"
for path in oauth-authorization-server openid-configuration; do
  same "the authorization server's metadata is at /.well-known/$path" "$base" "$(curl -s "$base/.well-known/$path" | jq -r .issuer)"
done
same 'PKCE is S256 alone, and answers name their issuer' '["S256"] true' \
  "$(curl -s "$base/.well-known/oauth-authorization-server" | jq -cr '"\(.code_challenge_methods_supported) \(.authorization_response_iss_parameter_supported)"')"
same '/health leads to both' "[\"$prm\",\"$base/.well-known/oauth-authorization-server\"]" \
  "$(curl -s "$base/health" | jq -c '[.protected_resource_metadata, .authorization_server_metadata]')"

register '{"client_name":"test_step7","redirect_uris":["http://localhost:8000/callback"]}'
same 'a client registers itself (201)' 201 "$status"
client=$(jq -r .client_id <<<"$body")
same 'a native one is public: no secret' '["none",null]' "$(jq -c '[.token_endpoint_auth_method, .client_secret]' <<<"$body")"
for uri in javascript:alert\(1\) http://evil.example/callback http://localhost.evil.example/ 'https://x@evil.example/'; do
  register "$(jq -cn --arg uri "$uri" '{redirect_uris: [$uri]}')"
  same "but not with $uri" '400 invalid_redirect_uri' "$status $(jq -r .error <<<"$body")"
done

authorize "$client" 'mcp:read mcp:tools'
same 'a login page for whoever asks' '200 login' "$status $page"
log_in alice wrong
same 'a wrong password stays there (401)' '401 login' "$status $page"
log_in alice alice123
same 'the right one leads to the consent page' '200 consent' "$status $page"
case $body in *test_step7*localhost:8000*) ok 'which says who asks, and where the answer goes' ;; *) fail 'which says who asks' "$body" ;; esac
decide allow
same 'the answer goes to the client' 'http://localhost:8000/callback' "${location%%\?*}"
same 'with the state that it sent, and who answers (RFC 9207)' "xyz $base" "$(answer state) $(answer iss)"
code=$(answer code)
redeem "$client" "$code" wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong
same 'a code without its verifier is worth nothing' '400 invalid_grant' "$status $(jq -r .error <<<"$body")"
redeem "$client" "$code"
same 'with it, it is a token' '200 Bearer mcp:read mcp:tools' "$status $(jq -r '"\(.token_type) \(.scope)"' <<<"$body")"
same 'and no refresh token, since nobody agreed to that' null "$(jq -c .refresh_token <<<"$body")"
token=$(jq -r .access_token <<<"$body")
post "$whoami" -H "Authorization: Bearer $token"
same 'the token opens /mcp' "{\"subject\":\"alice\",\"issuer\":\"$base\",\"name\":\"alice\"}" "$(jq -c .result.structuredContent <<<"$body")"
claims=$(cut -d. -f2 <<<"$token" | jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d')
same 'it is for this resource and for five minutes' "$base/mcp 300" "$(jq -r '"\(.aud) \(.exp - .iat)"' <<<"$claims")"
introspect "$token"
same 'introspection knows it' 'true alice' "$(jq -r '"\(.active) \(.username)"' <<<"$body")"
redeem "$client" "$code"
same 'the code a second time: refused' '400 invalid_grant' "$status $(jq -r .error <<<"$body")"
introspect "$token"
same 'and the token of the first time is dead' '{"active":false}' "$(jq -c . <<<"$body")"

authorize "$client" 'mcp:read'
same 'alice is still logged in' '200 consent' "$status $page"
decide deny
same 'no is an answer too' "access_denied xyz $base" "$(answer error) $(answer state) $(answer iss)"
rm -f "$work/jar"
authorize "$client" 'mcp:read mcp:tools mcp:prompts'
log_in bob bob123
decide allow
redeem "$client" "$(answer code)"
same 'bob is granted what his role allows, whatever was asked for' 'mcp:read' "$(jq -r .scope <<<"$body")"
resource=http://localhost:1/mcp authorize "$client" mcp:read
same 'no token for a resource of somebody else' invalid_target "$(answer error)"
redirect_uri=http://localhost:8000/callback/evil authorize "$client" mcp:read
same 'no answer to an address that is not registered' '400 ' "$status $location"

form=$(curl -s "$base/token" -d grant_type=client_credentials -u echo-mcp-server:echo-mcp-server-secret)
same 'a client of the realm may have a token for itself' 'service-account-echo-mcp-server' \
  "$(jq -r .access_token <<<"$form" | cut -d. -f2 | jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .sub')"
post "$whoami" -H "Authorization: Bearer $("$target/debug/gen-token" --key-dir "$keys" --server "$base" --username carol --raw)"
same "gen-token's tokens are good too: the same keys" carol "$(jq -r .result.structuredContent.subject <<<"$body")"
summary
