// What every client must be able to do that comes without a token, whatever its SDK calls the methods.
//
// A driver is run as `node DRIVER URL SCENARIO`, with
//   MCP_PERSON   the program that stands for the person: given an authorization URL, it prints the callback URL
//   MCP_TOOLS    the names of the server's tools, sorted
//   MCP_SUBJECT  who that person is
//   MCP_GRANTED  the file for what the client holds in the end
//   MCP_ISSUER   the authorization server of the tools' server
//   MCP_CLIENT   the client to be, for one that does not register; without a secret
//   MCP_SCOPE    what a client asks for that speaks for itself
//   MCP_EXPIRED  seconds until the server refuses an access token as expired
// One line per check is printed: `ok - NAME` or `not ok - NAME: REASON`. How often the person was asked, and for what,
// is the caller's to judge.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

const EXPIRED = Number(process.env.MCP_EXPIRED ?? 0);

// A client that hangs must not hang the tests.
setTimeout(() => {
  report('ends in time', 'not within two minutes');
  process.exit(1);
}, (EXPIRED + 120) * 1000).unref();

// The client of the realm's file that may act for itself.
export const SERVICE = { clientId: 'echo-mcp-server', clientSecret: 'echo-mcp-server-secret' };

// Keeps in memory what an application would keep on disk: both SDKs want the same of it.
export class Provider {
  redirectUrl = 'http://localhost:53211/callback';
  clientMetadata = {
    client_name: process.argv[1].split('/').pop(),
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  state = () => 'as it was sent';
  client = process.env.MCP_CLIENT ? { client_id: process.env.MCP_CLIENT } : undefined;
  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.held;
  saveTokens = (tokens) => void (this.held = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  discoveryState = () => this.discovered;
  saveDiscoveryState = (state) => void (this.discovered = state);

  redirectToAuthorization(url) {
    const callback = execFileSync(process.env.MCP_PERSON, [url.href], { encoding: 'utf8' }).trim();
    this.callback = new URL(callback).searchParams;
  }

  // Where the browser would be let back in: what came with it, once.
  takeCallback() {
    const { callback } = this;
    this.callback = undefined;
    if (callback?.get('state') !== this.state()) throw new Error('the state is not the one that was sent');
    return callback;
  }
}

// `provide(scenario)` makes what holds the client and its tokens. `connect(provider)` returns
// { tools(), call(name, args), close() }, and lets the person decide where its SDK says so.
export async function drive(provide, connect) {
  const scenario = process.argv[3];
  const provider = provide(scenario);
  if (scenario === 'denied') return denied(() => connect(provider));
  const client = await step('connects', () => connect(provider));
  if (client) await SCENARIOS[scenario](client, provider);
  await client?.close?.();
  const { client_id } = provider.clientInformation() ?? {};
  writeFileSync(process.env.MCP_GRANTED, JSON.stringify({ client_id, ...provider.tokens() }));
}

const SCENARIOS = {
  code: everything,
  credentials: everything,

  // The access token expires in between; whoever holds a refresh token needs nobody.
  async expiry(client, provider) {
    await everything(client);
    const before = provider.tokens();
    await sleep(EXPIRED * 1000);
    await everything(client);
    const after = provider.tokens();
    report('has another access token', before.access_token === after.access_token ? 'it is the same' : '');
    if (before.refresh_token) {
      report('has another refresh token', before.refresh_token === after.refresh_token ? 'it is the same' : '');
    }
  },

  // The first scopes are enough to see the tools, and not to call one.
  async 'step-up'(client) {
    await lists(client);
    await echoes(client);
    await everything(client);
  },

  // The person, or their account, does not give what the tool needs.
  async refused(client) {
    await lists(client);
    await fails(() => client.call('echo', { message: 'hi' }), 'the tool was called');
    // What it has, it still has.
    await lists(client);
  },
};

// Nothing is given at all.
const denied = (connect) => fails(async () => (await connect()).tools(), 'it was let in');

async function fails(run, otherwise) {
  let said = '';
  try {
    await run();
  } catch (error) {
    said = reason(error);
  }
  report('ends with an error', said ? '' : otherwise);
  // For whoever asks why.
  console.error(said);
}

async function everything(client) {
  await lists(client);
  await echoes(client);
  await same('is known to whoami', process.env.MCP_SUBJECT, async () => {
    const { structuredContent } = await client.call('whoami', {});
    return structuredContent.subject;
  });
}

const lists = (client) =>
  same('lists the tools', process.env.MCP_TOOLS, async () => (await client.tools()).sort().join(' '));

const echoes = (client) =>
  same('calls echo', 'hi', async () => (await client.call('echo', { message: 'hi' })).content[0].text);

async function same(name, expected, run) {
  await step(name, async () => {
    const actual = await run();
    if (!isDeepStrictEqual(actual, expected)) throw new Error(`${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
  });
}

async function step(name, run) {
  try {
    const result = await run();
    report(name);
    return result;
  } catch (error) {
    report(name, reason(error));
  }
}

function report(name, problem) {
  console.log(problem ? `not ok - ${name}: ${problem.replaceAll('\n', ' ')}` : `ok - ${name}`);
  if (problem) process.exitCode = 1;
}

function reason(error) {
  return [error, error.cause].filter(Boolean).map(String).join(': ');
}
