// The Inspector's CLI (Node >= 22.19) with its own OAuth: it prints where to go, and waits at a callback URL of its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drive } from './oauth.mjs';

const CLI = fileURLToPath(new URL('node_modules/.bin/mcp-inspector', import.meta.url));
const url = process.argv[2];

// What it holds is in its home, from one process to the next; the user's own is none of our business.
const home = mkdtempSync(join(tmpdir(), 'inspector-'));
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill();
  rmSync(home, { recursive: true, force: true });
});

// Tokens go into a file, rather than into the keyring of the desktop.
const secrets = join(home, 'secrets.json');
const SECRETS = { MCP_INSPECTOR_SECRET_STORE: 'file', MCP_INSPECTOR_SECRET_FILE: secrets };
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));

const provider = {
  clientInformation() {
    const { activeIssuer, byIssuer } = read(join(home, '.mcp-inspector/storage/oauth.json')).servers[url];
    return byIssuer[activeIssuer].clientInformation;
  },
  tokens() {
    const [, tokens] = Object.entries(read(secrets).secrets).find(([name]) => name.includes(':tokens:'));
    return JSON.parse(tokens);
  },
};

// A port of its own, since another one may be running; its default is always the same.
const listener = createServer().listen(0, '127.0.0.1');
await once(listener, 'listening');
// The path is what the realm's own client has.
const callback = `http://127.0.0.1:${listener.address().port}/callback`;
listener.close();

// Left alone, it registers, and asks for everything that the resource knows; MCP_FIRST, in its configuration, makes it ask
// for less.
const server = join(home, 'mcp.json');
const oauth = { scopes: process.env.MCP_FIRST || undefined, clientId: process.env.MCP_CLIENT || undefined };
writeFileSync(server, JSON.stringify({ mcpServers: { it: { type: 'streamable-http', url, oauth } } }));

// Every call is a process and a connection of its own.
function run(method, ...args) {
  const all = ['--cli', '--config', server, '--server', 'it', '--protocol-era', 'auto', '--callback-url', callback];
  all.push('--format', 'json', '--quiet');
  // Without a terminal it asks for nobody unless it may open a browser; without a PATH it finds none to open.
  const env = { HOME: home, USERPROFILE: home, PATH: home, MCP_AUTO_OPEN_ENABLED: 'true', ...SECRETS };
  const cli = spawn(process.execPath, [CLI, ...all, '--method', method, ...args], { env });
  running.add(cli);
  let stdout = '';
  let stderr = '';
  let asked = false;
  // Whether to step up: yes.
  cli.stdin.end('y\n');
  cli.stdout.on('data', (data) => (stdout += data));
  cli.stderr.on('data', (data) => {
    stderr += data;
    const [, authorization] = /Please navigate to: (\S+)\n/.exec(stderr) ?? [];
    if (authorization && !asked) {
      asked = true;
      spawn(process.env.MCP_BROWSER, [authorization], { stdio: 'inherit' });
    }
  });
  return new Promise((resolve, reject) => {
    cli.on('error', reject);
    cli.on('close', (exit) => {
      running.delete(cli);
      if (exit === 0) resolve(JSON.parse(stdout).result);
      else reject(new Error(`exit code ${exit}: ${stderr}${stdout}`));
    });
  });
}

await drive(
  () => provider,
  async () => {
    await run('initialize');
    return {
      tools: async () => (await run('tools/list')).tools.map((tool) => tool.name),
      call: (name, args) => run('tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
    };
  },
);
