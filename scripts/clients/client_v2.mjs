// @modelcontextprotocol/client 2.x: legacy unless told to negotiate.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { check, headers } from './checks.mjs';

const MODES = {
  legacy: {},
  auto: { versionNegotiation: { mode: 'auto' } },
  pinned: { versionNegotiation: { mode: { pin: '2026-07-28' } } },
};

const unauthorized = {
  // UnauthorizedError is for those who have an auth provider. The code beside the status differs from mode to mode.
  says: 'SdkHttpError 401',
  reads: (error) => `${error.constructor.name} ${error.status}`,
};

await check(unauthorized, async (url, mode) => {
  const client = new Client({ name: 'client_v2', version: '1.0.0' }, MODES[mode]);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return {
    version: client.getNegotiatedProtocolVersion(),
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    prompts: async () => (await client.listPrompts()).prompts.map((prompt) => prompt.name),
    call: (name, args, onprogress) => client.callTool({ name, arguments: args }, { onprogress }),
    prompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages[0].content.text,
    close: () => client.close(),
  };
});
