#!/usr/bin/env bash
# Step 2: one endpoint, both eras, and no web page gets in.
source "$(dirname "$0")/lib.sh"
build step1 step2

start_server step1
post "$(request ping)"
same 'step 1 has no /mcp: 404' 404 "$status"

start_server step2
post "$(request ping)"
same 'ping is answered with an empty result' '200 {"jsonrpc":"2.0","id":1,"result":{}}' "$status $body"
for version in 2024-11-05 2025-03-26 2025-06-18 2025-11-25; do
  post "$(request initialize "{\"protocolVersion\":\"$version\"}")"
  same "initialize: a client of $version gets $version" "$version" "$(jq -r .result.protocolVersion <<<"$body")"
done
post "$(request initialize '{"protocolVersion":"2026-07-28"}')"
same 'initialize: a client that names 2026-07-28 is answered 2025-11-25' 2025-11-25 "$(jq -r .result.protocolVersion <<<"$body")"
post '{"jsonrpc":"2.0","method":"notifications/initialized"}'
same 'a notification is 202 with no body' '202 ' "$status $body"

meta='{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}'
modern=(-H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: server/discover')
post "$(request server/discover "$meta")" "${modern[@]}"
same 'server/discover names the modern revision' '["2026-07-28"]' "$(jq -c .result.supportedVersions <<<"$body")"
post "$(request server/discover "$meta")" -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: ping'
same 'a header that contradicts the body is 400, -32020' '400 -32020' "$status $(jq .error.code <<<"$body")"
post "$(request tools/list)"
same 'tools/list is an unknown method yet' -32601 "$(jq .error.code <<<"$body")"

post "$(request ping)" -H 'Accept:'
same 'no Accept header: answered' 200 "$status"
for method in GET DELETE; do
  answer=$(curl -s -o /dev/null -D - -X "$method" "$base/mcp" | tr -d '\r')
  same "$method is 405 and says what is allowed" '405 POST' \
    "$(awk 'NR == 1 { s = $2 } tolower($1) == "allow:" { a = $2 } END { print s, a }' <<<"$answer")"
done

# The attack: a page on evil.example whose name was pointed at 127.0.0.1 (DNS rebinding).
post "$(request ping)" -H "Host: evil.example:$port"
same 'a rebound name in Host is 421' 421 "$status"
post "$(request ping)" -H 'Origin: https://evil.example'
same 'a foreign page in Origin is 403' 403 "$status"
post "$(request ping)" -H 'Origin: null'
same 'Origin: null is 403' 403 "$status"
post "$(request ping)" -H 'Origin: http://localhost:6274'
same 'a page of this machine (the Inspector) is served' 200 "$status"
post "$(request ping)" -H 'Content-Type: text/plain'
same 'text/plain, which pages may post unasked, is 415' 415 "$status"

if curl --version | grep -q HTTP2; then
  h2=(--http2-prior-knowledge)
  post "$(request ping)" "${h2[@]}"
  same 'HTTP/2: answered' '200 {"jsonrpc":"2.0","id":1,"result":{}}' "$status $body"
  post "$(request ping)" "${h2[@]}" -H "Host: evil.example:$port"
  same 'HTTP/2: a rebound name in :authority is 421' 421 "$status"
else
  skip 'HTTP/2' 'this curl has none; install one built with nghttp2'
fi

start_server step2 --log-format json
post "$(request nope)"
sleep 0.1
same 'a refusal is one JSON line at INFO with method and code' '["INFO","nope",-32601]' \
  "$(grep nope "$server_log" | jq -c '[.level, .method, .code]')"
RUST_LOG=debug start_server step2 --log-format json
post '{"jsonrpc":"2.0","id":"seven","method":"ping","params":{"x":"s3cret"}}'
sleep 0.1
same 'an answer is one JSON line at DEBUG' '["DEBUG","ping",200,"seven"]' \
  "$(grep '"method":"ping"' "$server_log" | jq -c '[.level, .method, .status, .id]')"
same 'the log never has a body' 0 "$(grep -c s3cret "$server_log" || true)"
summary
