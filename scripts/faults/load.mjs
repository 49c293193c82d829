// Requests that flow while things fail: `node load.mjs URL TOKEN_ENDPOINT RATE [minting|one]`.
//
// RATE requests per second with a token that the server knows, and three with tokens that it has never seen, each used
// once. They are fetched before anything begins, or with `minting` one by one; then the newest is the known one, too. With
// `one` there is but one token.
// Two requests per second are a stranger's, with the token in STRANGER, which nobody may ever accept.
//
// Standard input says how things are, in lines of `STATUS…|NAME`: every answer must then have one of these statuses, and
// a 503 say when to come back. The line `end` ends it. One line per check is printed: `ok - NAME` or `not ok - NAME`.

import { createInterface } from 'node:readline';

const UNSEEN_RATE = 3;
const STRANGER_RATE = 2;
// For more than a minute and a half without the provider.
const POOL = 300;

const [url, endpoint, rate, mode] = process.argv.slice(2);
const { STRANGER } = process.env;

async function mint() {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa('echo-mcp-server:echo-mcp-server-secret')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'mcp:read mcp:tools' }),
    signal: AbortSignal.timeout(15_000),
  });
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return (await response.json()).access_token;
}

async function ask(token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { message: 'hi' } } }),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  if (response.status === 503 && !response.headers.has('retry-after')) throw new Error('503 without Retry-After');
  return { status: response.status, text };
}

const pool = [];
if (!mode) {
  const fetchSome = async () => {
    while (pool.length < POOL) pool.push(await mint());
  };
  await Promise.all([1, 2, 3, 4].map(fetchSome));
}
let known = pool.pop() ?? (await mint());
console.log('ok - has its tokens');

const phases = [];
let phase;
const underWay = new Set();

// One request, judged by how things were when it began and when it ended: it may see either.
async function good(kind, getToken) {
  const then = phase;
  const begun = Date.now();
  then.asked[kind]++;
  let wrong = '';
  try {
    const { status, text } = await ask(await getToken());
    if (!then.statuses.includes(status) && !phase.statuses.includes(status)) wrong = `${status} ${text}`;
  } catch (error) {
    wrong = [error, error.cause].filter(Boolean).join(': ');
  }
  if (wrong) then.wrong.push(`${kind}, ${begun - then.begun} ms after it began: ${wrong}`);
}

async function unseen() {
  if (mode === 'minting') await good('unseen', async () => (known = await mint()));
  else if (pool.length) await good('unseen', () => pool.pop());
}

async function stranger() {
  const then = phase;
  const { status } = await ask(STRANGER).catch(() => ({}));
  if (status === 200) then.wrong.push('a stranger was let in');
}

const begun = performance.now();
const streams = [
  [Number(rate), () => good('known', () => known)],
  [mode === 'one' ? 0 : UNSEEN_RATE, unseen],
  [STRANGER ? STRANGER_RATE : 0, stranger],
].map(([rate, send]) => ({ rate, send, sent: 0 }));

// By the clock: timers come late on a busy machine.
const pace = setInterval(() => {
  for (const stream of streams) {
    for (const due = ((performance.now() - begun) / 1000) * stream.rate; phase && stream.sent < due; stream.sent++) {
      const sent = Promise.resolve(stream.send()).finally(() => underWay.delete(sent));
      underWay.add(sent);
    }
  }
}, 10);

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break;
  const [statuses, name] = line.split('|');
  phase = { name, statuses: statuses.split(' ').map(Number), asked: { known: 0, unseen: 0 }, wrong: [], begun: Date.now() };
  phases.push(phase);
}
clearInterval(pace);
await Promise.all(underWay);

for (const { name, asked, wrong } of phases) {
  const said = `${name}: ${asked.known} requests with a known token, ${asked.unseen} with unseen ones`;
  if (!asked.known || (!asked.unseen && mode !== 'one')) wrong.push('that is none');
  const problem = `${wrong.length} wrong: ${wrong.slice(0, 3).join('; ').replaceAll('\n', ' ')}`;
  console.log(wrong.length ? `not ok - ${said}; ${problem}` : `ok - ${said}`);
  if (wrong.length) process.exitCode = 1;
}
process.exit();
