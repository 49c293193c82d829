#!/usr/bin/env bash
# Step 4: the tools run; what they are sent is checked, what they report is streamed.
source "$(dirname "$0")/lib.sh"
build step3 step4
call() { request tools/call "{\"name\":\"$1\",\"arguments\":$2}"; }

start_server step3
post "$(call echo '{"message":"hi"}')"
same 'step 3 lists echo and cannot call it: -32601' -32601 "$(jq .error.code <<<"$body")"

start_server step4
text() { jq -r '.result.content[0].text' <<<"$body"; }
post "$(call echo '{"message":"hi"}')"
same 'echo says it back' hi "$(text)"
post "$(call echo '{"message":"hi","repeat_count":2}')"
same 'twice, if asked' $'hi\nhi' "$(text)"
post "$(call add '{"a":2,"b":40}')"
same 'add answers as structured content, and as text' '[{"result":42},"{\"result\":42}"]' \
  "$(jq -c '[.result.structuredContent, .result.content[0].text]' <<<"$body")"
post "$(call multiply '{"x":1.5,"y":4}')"
same 'multiply takes fractions' true "$(jq '.result.structuredContent.result == 6' <<<"$body")"
post "$(call get_time '{"timezone":"Asia/Tokyo"}')"
same 'get_time knows the time zones' '+09:00[Asia/Tokyo]' "$(text | sed 's/^.*\(+09\)/\1/')"
post "$(request prompts/get '{"name":"greeting","arguments":{"name":"Bob"}}')"
same 'a prompt is filled in' 'Write a warm, friendly greeting for Bob.' "$(jq -r '.result.messages[0].content.text' <<<"$body")"

post "$(call echo '{"message":"hi","repeat_count":11}')"
same 'a wrong argument is a result with isError that names path and rule' \
  'true invalid arguments for echo: /repeat_count: 11 is greater than the maximum of 10 (maximum)' \
  "$(jq .result.isError <<<"$body") $(text)"
post "$(call nope '{}')"
same 'an unknown tool is -32602' -32602 "$(jq .error.code <<<"$body")"
post "$(request prompts/get '{"name":"greeting"}')"
same 'a missing prompt argument is -32602' -32602 "$(jq .error.code <<<"$body")"
post '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"add"}}'
same 'a member given twice is refused: which one would be meant?' -32600 "$(jq .error.code <<<"$body")"

streamed=$(request tools/call '{"name":"echo","arguments":{"message":"hi","repeat_count":3},"_meta":{"progressToken":"p"}}')
post "$streamed"
same 'progress comes as a stream of events' 'text/event-stream' "$(awk 'tolower($1) == "content-type:" { print $2 }' <<<"$head")"
same '1, 2, 3 of 3, then the result' '[1,2,3,"hi\nhi\nhi"]' \
  "$(sed -n 's/^data: //p' <<<"$body" | jq -sc 'map(.params.progress // .result.content[0].text)')"
post "$streamed" -H 'Accept: application/json'
same 'a client that takes only JSON gets only JSON' $'hi\nhi\nhi' "$(text)"

meta='"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
modern() { post "$(request tools/call "{\"name\":\"echo\",\"arguments\":{\"message\":\"hi\"},$meta}")" -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' "$@"; }
modern -H 'Mcp-Name: echo'
same 'a modern client gets a modern result' '["complete","hi"]' "$(jq -c '[.result.resultType, .result.content[0].text]' <<<"$body")"
modern -H 'Mcp-Name: add'
same 'a header that names another tool than the body is 400, -32020' '400 -32020' "$status $(jq .error.code <<<"$body")"
head -c 1100000 /dev/zero | tr '\0' ' ' >"$work/large"
status=$(curl -s -o "$work/body" -w '%{http_code}' "$base/mcp" -H 'Content-Type: application/json' --data-binary "@$work/large")
same 'a body over 1 MiB is 413' 413 "$status"
summary
