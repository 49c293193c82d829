// @modelcontextprotocol/sdk 1.x with its own OAuth.

import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Provider, SERVICE, drive } from './oauth.mjs';

const url = new URL(process.argv[2]);

const provide = (scenario) =>
  scenario === 'credentials'
    ? new ClientCredentialsProvider({ ...SERVICE, scope: process.env.MCP_SCOPE, expectedIssuer: process.env.MCP_ISSUER })
    : new Provider();

async function connect(authProvider) {
  // UnauthorizedError: somebody has been sent to the authorization server. What they come back with is redeemed here,
  // and what was to be done is done once more, and not twice.
  async function authorized(transport, act) {
    try {
      return await act(transport());
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      const callback = authProvider.takeCallback();
      if (callback.has('error')) throw new Error(callback.get('error'));
      // This SDK takes the code alone, and leaves `iss` to the application (RFC 9207).
      const { issuer } = authProvider.discoveryState().authorizationServerMetadata;
      if (callback.get('iss') !== issuer) throw new Error(`the answer is from ${callback.get('iss')}`);
      await current.finishAuth(callback.get('code'));
      return await act(transport());
    }
  }

  const client = new Client({ name: 'oauth_sdk_v1', version: '1.0.0' });
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
