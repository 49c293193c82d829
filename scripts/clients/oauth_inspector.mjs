// The Inspector's CLI (Node >= 22.19) with its own OAuth: it prints where to go, and waits at a callback URL of its own.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drive } from './oauth.mjs';

const CLI = fileURLToPath(new URL('node_modules/.bin/mcp-inspector', import.meta.url));
const BROWSER = join(dirname(process.env.MCP_PERSON), 'browser.sh');
const url = process.argv[2];

// What it holds is in its home, from one process to the next; the user's own is none of our business.
const home = mkdtempSync(join(tmpdir(), 'inspector-'));
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill();
  rmSync(home, { recursive: true, force: true });
});

const state = () => {
  const { servers } = JSON.parse(readFileSync(join(home, '.mcp-inspector/storage/oauth.json'), 'utf8'));
  const { activeIssuer, byIssuer } = servers[url];
  return byIssuer[activeIssuer];
};
const provider = { clientInformation: () => state().clientInformation, tokens: () => state().tokens };

// Every call is a process and a connection of its own.
function run(method, ...args) {
  const all = ['--cli', url, '--transport', 'http', '--protocol-era', 'auto', '--format', 'json', '--quiet'];
  // Without a terminal it asks for nobody unless it may open a browser; without a PATH it finds none to open.
  const env = { HOME: home, USERPROFILE: home, PATH: home, MCP_AUTO_OPEN_ENABLED: 'true' };
  const cli = spawn(process.execPath, [CLI, ...all, '--method', method, ...args], { env });
  running.add(cli);
  let stdout = '';
  let stderr = '';
  let asked = false;
  cli.stdout.on('data', (data) => (stdout += data));
  cli.stderr.on('data', (data) => {
    stderr += data;
    const [, authorization] = /^Please navigate to: (\S+)\n/m.exec(stderr) ?? [];
    if (authorization && !asked) {
      asked = true;
      spawn(BROWSER, [authorization], { stdio: 'inherit' });
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
