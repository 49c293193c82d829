// The Inspector's CLI (Node >= 22.19). Every call is a process and a connection of its own.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, headers } from './checks.mjs';

const CLI = fileURLToPath(new URL('node_modules/.bin/mcp-inspector', import.meta.url));

const unauthorized = {
  says: 'exit code 3, auth_required',
  reads: ({ exit, stderr }) => `exit code ${exit}, ${/^\{"error":\{"code":"(\w+)"/.exec(stderr)?.[1]}`,
};

await check(unauthorized, async (url, mode) => {
  const common = ['--cli', url, '--transport', 'http', '--protocol-era', mode, '--format', 'json', '--quiet'];
  // Without a token that is accepted: an error, not a browser.
  common.push('--stored-auth-only');
  for (const [name, value] of Object.entries(headers)) common.push('--header', `${name}: ${value}`);
  // It keeps files in its home; those of the user are none of our business.
  const home = mkdtempSync(join(tmpdir(), 'inspector-'));
  let cli;
  process.on('exit', () => {
    cli?.kill();
    rmSync(home, { recursive: true, force: true });
  });
  const env = { ...process.env, HOME: home, USERPROFILE: home };

  const run = (method, ...args) =>
    new Promise((resolve, reject) => {
      cli = execFile(process.execPath, [CLI, ...common, '--method', method, ...args], { env }, (error, stdout, stderr) => {
        // A result with isError fails the command too (exit code 5), but it is printed.
        if (stdout) resolve(JSON.parse(stdout).result);
        else reject(Object.assign(new Error(stderr || error), { exit: error?.code, stderr }));
      });
    });

  return {
    version: (await run('initialize')).protocolVersion,
    tools: async () => (await run('tools/list')).tools.map((tool) => tool.name),
    prompts: async () => (await run('prompts/list')).prompts.map((prompt) => prompt.name),
    call: (name, args) => run('tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
    prompt: async (name, args = {}) => {
      const pairs = Object.entries(args).map(([key, value]) => `${key}=${value}`);
      const result = await run('prompts/get', '--prompt-name', name, ...(pairs.length ? ['--prompt-args', ...pairs] : []));
      return result.messages[0].content.text;
    },
    showsProgress: false,
  };
});
