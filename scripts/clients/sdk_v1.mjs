// @modelcontextprotocol/sdk 1.x, which knows only the legacy era.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { check, headers } from './checks.mjs';

const unauthorized = {
  // UnauthorizedError is for those who have an auth provider.
  says: 'StreamableHTTPError 401',
  reads: (error) => `${error.constructor.name} ${error.code}`,
};

await check(unauthorized, async (url) => {
  const client = new Client({ name: 'sdk_v1', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    version: transport.protocolVersion,
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    prompts: async () => (await client.listPrompts()).prompts.map((prompt) => prompt.name),
    call: (name, args, onprogress) => client.callTool({ name, arguments: args }, undefined, { onprogress }),
    prompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages[0].content.text,
    close: () => client.close(),
  };
});
