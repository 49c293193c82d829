// @modelcontextprotocol/client 2.x with its own OAuth.

import {
  Client,
  ClientCredentialsProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { Provider, SERVICE, drive } from './oauth.mjs';

const url = new URL(process.argv[2]);

const provide = (scenario) =>
  scenario === 'credentials'
    ? new ClientCredentialsProvider({ ...SERVICE, scope: process.env.MCP_SCOPE, expectedIssuer: process.env.MCP_ISSUER })
    : new Provider();

async function connect(authProvider) {
  // As in oauth_sdk_v1.mjs; this SDK looks at everything that came with the answer itself.
  async function authorized(transport, act) {
    try {
      return await act(transport());
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      await current.finishAuth(authProvider.takeCallback());
      return await act(transport());
    }
  }

  const client = new Client({ name: 'oauth_client_v2', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  let current;
  // A transport is started once.
  const fresh = () => (current = new StreamableHTTPClientTransport(url, { authProvider }));
  await authorized(fresh, (transport) => client.connect(transport));
  const connected = () => current;
  return {
    tools: () => authorized(connected, async () => (await client.listTools()).tools.map((tool) => tool.name)),
    call: (name, args) => authorized(connected, () => client.callTool({ name, arguments: args })),
    close: () => client.close(),
  };
}

await drive(provide, connect);
