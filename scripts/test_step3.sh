#!/usr/bin/env bash
# Step 3: tools and prompts are listed, with all that a client needs to offer them.
source "$(dirname "$0")/lib.sh"
build step2 step3

start_server step2
post "$(request tools/list)"
same 'step 2 has no tools/list: -32601' -32601 "$(jq .error.code <<<"$body")"

start_server step3
post "$(request initialize '{"protocolVersion":"2025-11-25"}')"
same 'it declares tools and prompts' '["tools","prompts"]' "$(jq -c '.result.capabilities | keys_unsorted' <<<"$body")"
post "$(request tools/list)"
same 'tools/list has echo and get_time' '["echo","get_time"]' "$(jq -c '[.result.tools[].name]' <<<"$body")"
same 'each has title, description, schema and annotations' true \
  "$(jq '[.result.tools[] | .title and .description and .inputSchema.type == "object" and .annotations.readOnlyHint] | all' <<<"$body")"
same 'the schema says what echo takes' '{"required":["message"],"min":1,"max":10,"closed":false}' \
  "$(jq -c '.result.tools[0].inputSchema | {required, min: .properties.repeat_count.minimum, max: .properties.repeat_count.maximum, closed: .additionalProperties}' <<<"$body")"
post "$(request prompts/list)"
same 'prompts/list has greeting and help' '["greeting","help"]' "$(jq -c '[.result.prompts[].name]' <<<"$body")"
same 'greeting takes a name, and a style if you like' '[["name",true],["style",false]]' \
  "$(jq -c '[.result.prompts[0].arguments[] | [.name, .required]]' <<<"$body")"

meta='{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}'
post "$(request tools/list "$meta")" -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list'
same 'a modern list says how long it may be kept, and by whom' '["complete",60000,"public"]' \
  "$(jq -c '[.result.resultType, .result.ttlMs, .result.cacheScope]' <<<"$body")"

post "$(request tools/call '{"name":"echo","arguments":{"message":"hi"}}')"
same 'calling a tool is an unknown method yet' -32601 "$(jq .error.code <<<"$body")"
post "$(request prompts/get '{"name":"help"}')"
same 'so is getting a prompt' -32601 "$(jq .error.code <<<"$body")"
summary
