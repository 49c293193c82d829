#!/usr/bin/env bash
# Step 6: nobody gets to /mcp without a valid access token, and who gets in is who the token says.
source "$(dirname "$0")/lib.sh"
build step5 step6 gen-token
keys="$work/keys"
# A token for the server under test, unless the arguments say otherwise.
gen_token() { "$target/debug/gen-token" --key-dir "$keys" --server "http://localhost:$port" --raw "$@"; }
header() { awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }' <<<"$head"; }
whoami=$(request tools/call '{"name":"whoami"}')
# call TOKEN [CURL ARGS…]: whoami with that token.
call() { local token=$1; shift; post "$whoami" -H "Authorization: Bearer $token" "$@"; }
# The claim is "within a second"; a busy machine is given a little more.
eventually() { local tries; for ((tries = 0; tries < 40; tries++)); do if "$@"; then return 0; fi; sleep 0.05; done; return 1; }
base64url() { base64 | tr -d '\n=' | tr '+/' '-_'; }

start_server step5 --key-dir "$keys"
post "$(request tools/call '{"name":"echo","arguments":{"message":"hi"}}')" -H 'Authorization: Bearer nonsense'
same 'step 5 answers anybody, whatever they send as a token' 200 "$status"

start_server step6 --key-dir "$keys" --audit-accepted
call "$("$target/debug/gen-token" --key-dir "$work/other" --server "$base" --raw)"
same 'as long as there is no key, nobody can say whether a token is good: 503' 503 "$status"
same 'and when to ask again' 5 "$(header retry-after)"
post "$whoami"
same 'without a token: 401, keys or none' 401 "$status"
token=$(gen_token --username alice)
accepted() { call "$token"; [ "$status" = 200 ]; }
if eventually accepted; then ok 'the first key opens the door without a restart'; else fail 'the first key opens the door' "$body"; fi
same 'the tool knows who is calling' "{\"subject\":\"alice\",\"issuer\":\"http://localhost:$port\",\"name\":\"alice\"}" \
  "$(jq -c .result.structuredContent <<<"$body")"
post "$(request ping)" -H "Authorization: Bearer $token"
same 'ping stays empty' '{}' "$(jq -c .result <<<"$body")"

post "$whoami"
same 'no token: 401, and a challenge without an error, since none was made' '401 Bearer' "$status $(header www-authenticate)"
same 'the body says it for people' 'this server needs an access token; send it as Authorization: Bearer' "$(jq -r .error.message <<<"$body")"
status=$(curl -s -o /dev/null -w '%{http_code}' "$base/mcp")
same 'GET without a token is 401 too: a stranger learns nothing of methods' 401 "$status"
status=$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$base/mcp")
same 'and 405 with one' 405 "$status"
for path in /health /.well-known/jwks.json; do
  same "$path is public" 200 "$(curl -s -o /dev/null -w '%{http_code}' "$base$path")"
done

# refused NAME WHY TOKEN
refused() {
  call "$3"
  same "$1: 401, $2" "401 Bearer error=\"invalid_token\", error_description=\"$2\"" "$status $(header www-authenticate)"
}
refused 'expired' 'the token has expired' "$(gen_token --claim exp=1)"
refused 'for another server' 'the token is for another audience' "$(gen_token --audience http://localhost:1/mcp)"
refused 'for a name that only begins like ours' 'the token is for another audience' "$(gen_token --audience "http://localhost:$port.evil.example/mcp")"
refused 'from another issuer' 'the token is from another issuer' "$(gen_token --issuer http://evil.example)"
refused "signed with somebody else's key" 'the token is signed with an unknown key' "$("$target/debug/gen-token" --key-dir "$work/other" --server "$base" --raw)"
IFS=. read -r head_part claims_part signature_part <<<"$token"
none=$(printf '{"alg":"none"}' | base64url)
refused 'unsigned, alg none' 'the token is not a signed JWT of three parts' "$none.$claims_part."
refused 'alg none, with a signature' "the token's algorithm is not accepted for its key" "$none.$claims_part.$signature_part"
admin=$(jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .sub = "admin" | tojson' <<<"$claims_part" | base64url)
refused 'alice made herself admin' "the token's signature is not valid" "$head_part.$admin.$signature_part"

status=$(curl -s -o /dev/null -w '%{http_code}' "$base/mcp?access_token=$token" -H 'Content-Type: application/json' -d "$whoami")
same 'a token in the URL: 400, since logs keep URLs' 400 "$status"
call "$token" -H 'Authorization: Bearer other'
same 'two Authorization headers: 400, since two readers may take two of them' 400 "$status"
post "$whoami" -H "Authorization: Basic $(printf 'alice:secret' | base64)"
same 'a password is no token: 401' '401 Bearer' "$status $(header www-authenticate)"
post "$whoami" -H "agent-session: $token"
same 'agent-session is not looked at unless --agent-session' 401 "$status"

preflight=$(curl -s -o /dev/null -D - -X OPTIONS "$base/mcp" -H 'Origin: http://localhost:6274' -H 'Access-Control-Request-Method: POST' \
  -H 'Access-Control-Request-Headers: authorization,content-type' | tr -d '\r')
same 'a page may ask without a token (preflight: 200)' 'HTTP/1.1 200 OK' "$(head -n 1 <<<"$preflight")"
post "$whoami" -H 'Origin: http://localhost:6274'
case ",$(header access-control-expose-headers)," in
  *,www-authenticate,*) ok 'and is shown the challenge' ;;
  *) fail 'and is shown the challenge' "$head" ;;
esac

old=$token
"$target/debug/gen-token" --key-dir "$keys" --generate-keys >/dev/null
token=$(gen_token)
if eventually accepted; then ok 'rotation: a token of the new key is good'; else fail 'rotation: a token of the new key is good' "$body"; fi
call "$old"
same 'and so is one of the old key, while it is published' 200 "$status"
# A warm cache must not keep it either.
kid=$(jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .kid' <<<"$head_part")
rm "$keys"/rs256-"${kid:0:8}".*
gone() { call "$old"; [ "$status" = 401 ]; }
if eventually gone; then ok 'a removed key takes its tokens along'; else fail 'a removed key takes its tokens along' "$status"; fi

log_has() { grep -q "$1" "$server_log"; }
if eventually log_has 'mcp_auth::audit.*outcome="accepted" subject="alice".*address="'; then ok 'the audit says who was let in'; else fail 'the audit says who was let in' "$(grep audit "$server_log" | head)"; fi
if log_has 'outcome="refused" reason=expired'; then ok 'and why somebody was not'; else fail 'and why somebody was not'; fi
if log_has "$signature_part"; then fail 'no signature is ever written'; else ok 'no signature is ever written'; fi

start_server step6 --key-dir "$keys" --agent-session
token=$(gen_token --username bob)
post "$whoami" -H "agent-session: $token"
same 'with --agent-session the raw token may come there' 'bob' "$(jq -r .result.structuredContent.subject <<<"$body")"
post "$whoami" -H 'Authorization: Bearer bad' -H "agent-session: $token"
same 'but never excuses a bad Bearer' 401 "$status"
summary
