#!/usr/bin/env bash
# Step 8: a token is good for what its scopes and its person's roles both allow. alice, bob, an admin and a guest.
source "$(dirname "$0")/lib.sh"
build step7 step8 gen-token
source scripts/flow.sh
keys="$work/keys"
"$target/debug/gen-token" --key-dir "$keys" --alg RS256 --generate-keys >/dev/null
header() { awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }' <<<"$head"; }
# token SCOPES [ROLES] [ARGS…]: made by hand, so that every combination can be had.
token() {
  local scopes=$1 roles=${2:-user}
  shift $(($# < 2 ? $# : 2))
  "$target/debug/gen-token" --key-dir "$keys" --server "http://localhost:$port" --scopes "$scopes" --roles "$roles" --raw "$@"
}
# ask TOKEN METHOD [PARAMS]
ask() { post "$(request "$2" "${3:-{\}}")" -H "Authorization: Bearer $1"; }
call() { ask "$1" tools/call "$(jq -cn --arg name "$2" --argjson arguments "${3:-{\}}" '{name: $name, arguments: $arguments}')"; }
tools() { ask "$1" tools/list; jq -r '[.result.tools[].name] | sort | join(" ")' <<<"$body"; }
sum='{"a":1,"b":2}'

start_server step7 --key-dir "$keys"
call "$(token mcp:read)" add "$sum"
same 'in step 7 a token that may only read calls whatever it likes' '200 3' "$status $(jq -r .result.structuredContent.result <<<"$body")"

start_server step8 --key-dir "$keys"
same '/health says so' true "$(curl -s "$base/health" | jq .scope_based_auth)"
prm="resource_metadata=\"$base/.well-known/oauth-protected-resource/mcp\""
post "$(request ping)"
same 'a stranger is told the least scope' "401 Bearer scope=\"mcp:read\", $prm" "$status $(header www-authenticate | sed 's/^\(Bearer\) \(resource_metadata="[^"]*"\), \(scope="[^"]*"\)/\1 \3, \2/')"

# SCOPES METHOD PARAMS STATUS
while IFS='|' read -r scopes method params expected; do
  ask "$(token "$scopes")" "$method" "$params"
  same "${scopes:-no scope}: $method $params" "$expected" "$status"
done <<'TABLE'
|initialize|{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}|200
|ping|{}|200
|tools/list|{}|403
|prompts/list|{}|403
|tools/call|{"name":"echo","arguments":{"message":"x"}}|403
|prompts/get|{"name":"help"}|403
mcp:read|tools/list|{}|200
mcp:read|prompts/list|{}|200
mcp:read|prompts/get|{"name":"help"}|200
mcp:read|tools/call|{"name":"echo","arguments":{"message":"x"}}|403
mcp:tools|tools/list|{}|200
mcp:tools|tools/call|{"name":"echo","arguments":{"message":"x"}}|200
mcp:tools|prompts/list|{}|403
mcp:tools|prompts/get|{"name":"help"}|403
mcp:prompts|prompts/list|{}|200
mcp:prompts|prompts/get|{"name":"help"}|200
mcp:prompts|tools/list|{}|403
mcp:prompts|tools/call|{"name":"echo","arguments":{"message":"x"}}|403
mcp:read mcp:tools|tools/call|{"name":"run_js","arguments":{"code":"1"}}|403
MCP:READ mcp:readx mcp:*|tools/list|{}|403
TABLE

call "$(token mcp:read)" add "$sum"
same 'who may read and wants to call is told both scopes, so that none is lost' \
  'error="insufficient_scope" scope="mcp:read mcp:tools"' \
  "$(header www-authenticate | grep -o 'error="[^"]*"') $(header www-authenticate | grep -o 'scope="[^"]*"')"
same 'and where to get them' "$prm" "$(header www-authenticate | grep -o 'resource_metadata="[^"]*"')"
same 'and, in words, what is missing' 'Forbidden: calling "add" needs the scope mcp:tools; the token has mcp:read' "$(jq -r .error.message <<<"$body")"
same 'the id of the request comes back' 1 "$(jq .id <<<"$body")"
call "$(token 'mcp:read mcp:tools')" run_js '{"code":"1"}'
same 'a tool may ask for a scope of its own' 'scope="mcp:read mcp:tools mcp:run"' "$(header www-authenticate | grep -o 'scope="[^"]*"')"

all='mcp:read mcp:tools mcp:prompts mcp:run'
same 'an ordinary list has no tool for admins' 'add echo get_time multiply whoami' "$(tools "$(token "$all")")"
same 'an admin has it' 'add echo get_time multiply server_stats whoami' "$(tools "$(token "$all" admin)")"
same 'who may only read sees what there is to step up to' 'add echo get_time multiply whoami' "$(tools "$(token mcp:read)")"
call "$(token "$all")" server_stats
same 'a missing role is 403 without a challenge: no token would help' '403 ' "$status $(header www-authenticate)"
same 'and says which' 'Forbidden: calling "server_stats" needs the role admin' "$(jq -r .error.message <<<"$body")"
call "$(token "$all" admin)" server_stats
same 'an admin calls it' 200 "$status"
call "$(token mcp:read admin)" add "$sum"
same "an admin's careless client has its own scopes and no more" 403 "$status"
call "$(token mcp:read admin)" server_stats
same 'also for what only admins may' 403 "$status"

echo_only=$(token "$all" user --tools echo)
same 'a token for one tool shows one tool' echo "$(tools "$echo_only")"
call "$echo_only" echo '{"message":"x"}'
same 'and calls it' 200 "$status"
call "$echo_only" add "$sum"
same 'and no other, and no scope would help' '403 ' "$status $(header www-authenticate)"
call "$(token '')" nonexistent
same 'a tool that is not there is not told apart by who may call none' 403 "$status"

# The same with real people, who get what their roles allow.
register '{"client_name":"test_step8","redirect_uris":["http://localhost:8000/callback"]}'
client=$(jq -r .client_id <<<"$body")
# person USERNAME PASSWORD SCOPE: sets $token and $scope, or $denied.
person() {
  rm -f "$work/jar"
  authorize "$client" "$3"
  log_in "$1" "$2"
  decide allow
  denied=$(answer error)
  redeem "$client" "$(answer code)"
  token=$(jq -r '.access_token // empty' <<<"$body")
  scope=$(jq -r '.scope // empty' <<<"$body")
}
person alice alice123 mcp:read
call "$token" add "$sum"
same 'alice, whose client asked for little: reads, and is refused a call' 'mcp:read 403' "$scope $status"
person alice alice123 'mcp:read mcp:tools'
call "$token" add "$sum"
same 'she comes back with what the challenge named, and the call succeeds' '200 3' "$status $(jq -r .result.structuredContent.result <<<"$body")"
person bob bob123 'mcp:read mcp:tools'
call "$token" add "$sum"
same 'bob may read, whatever his client asks for' 'mcp:read 403' "$scope $status"
person mcp-admin admin123 'mcp:read mcp:tools'
call "$token" server_stats
same 'an admin sees the statistics' '200 admin' "$status $(cut -d. -f2 <<<"$token" | jq -Rr 'gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .realm_access.roles | map(select(. == "admin")) | join(" ")')"
person guest guest123 'mcp:read mcp:tools'
same 'a guest may nothing of it, and the client is told' access_denied "$denied"

log_has() { grep -q "$1" "$server_log"; }
if log_has 'mcp_auth::audit.*denied\|mcp_auth::audit.*scope mcp:tools'; then ok 'the audit says who was denied what'; else fail 'the audit says who was denied what' "$(grep audit "$server_log" | head -n 3)"; fi

start_server step8 --key-dir "$keys" --initial-scopes all
post "$(request ping)"
same 'where a client can never ask for more, the first challenge names all' 'scope="mcp:read mcp:tools mcp:prompts mcp:run"' \
  "$(header www-authenticate | grep -o 'scope="[^"]*"')"
summary
