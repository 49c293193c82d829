// What every client must be able to do with the server, whatever its SDK calls the methods.
//
// A driver is run as `node DRIVER URL MODE [refused]`, with
//   MCP_TOKEN     the bearer token to send, if any
//   MCP_TOOLS     the names of the server's tools, sorted
//   MCP_SUBJECT   whose token it is, if whoami is one of them
// It hands `check` how its SDK says "unauthorized", which is what the refused must see,
//   { says, reads(error) }
// and a function that connects and returns
//   { version, tools(), prompts(), call(name, args, onprogress), prompt(name, args), close() }
// One line per check is printed: `ok - NAME` or `not ok - NAME: REASON`.

import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

// A client that hangs must not hang the tests.
setTimeout(() => {
  report('answers in time', 'not within a minute');
  process.exit(1);
}, 60_000).unref();

export const headers = process.env.MCP_TOKEN ? { Authorization: `Bearer ${process.env.MCP_TOKEN}` } : {};

export async function check(unauthorized, connect) {
  const [url, mode, refused] = process.argv.slice(2);
  if (refused) {
    await checkRefusal(unauthorized, () => connect(url, mode));
    return;
  }
  let client;
  try {
    client = await connect(url, mode);
  } catch (error) {
    report('connects', reason(error));
    return;
  }
  for (const [name, run] of Object.entries(checks(client, mode === 'legacy' ? '2025-11-25' : '2026-07-28'))) {
    try {
      const [actual, expected] = await run();
      report(name, isDeepStrictEqual(actual, expected) ? '' : `${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
    } catch (error) {
      report(name, reason(error));
    }
  }
  await client.close?.();
}

// Nothing but the one error will do: a server that is not there has not refused anybody.
async function checkRefusal({ says, reads }, connect) {
  const name = `is unauthorized: ${says}`;
  try {
    const client = await connect();
    const tools = await client.tools();
    await client.close?.();
    report(name, `was let in, and shown ${tools.join(' ')}`);
  } catch (error) {
    const said = reads(error);
    report(name, said === says ? '' : `${said}: ${reason(error)}`);
  }
}

// Each check returns what it got and what it should have got.
function checks(client, version) {
  const text = async (tool, args) => (await client.call(tool, args)).content[0].text;
  const structured = async (tool, args) => (await client.call(tool, args)).structuredContent;
  const all = {
    [`speaks ${version}`]: async () => [client.version, version],
    // First of all: from then on an SDK checks structured results against the listed schemas.
    'lists the tools': async () => [(await client.tools()).sort().join(' '), process.env.MCP_TOOLS],
    'lists the prompts': async () => [(await client.prompts()).sort(), ['greeting', 'help']],
    'calls echo': async () => [await text('echo', { message: 'hi', repeat_count: 2 }), 'hi\nhi'],
    'calls get_time': async () => [
      (await text('get_time', { timezone: 'Asia/Tokyo' })).replace(/^[\d-]+T[\d:]+/, ''),
      '+09:00[Asia/Tokyo]',
    ],
    'calls add': async () => [await structured('add', { a: 2, b: 40 }), { result: 42 }],
    'calls multiply': async () => [await structured('multiply', { x: 6, y: 7 }), { result: 42 }],
    'gets greeting': async () => [(await client.prompt('greeting', { name: 'Bob' })).includes('Bob'), true],
    'gets help': async () => [(await client.prompt('help')).includes('tools'), true],
    'sees progress': async () => {
      const seen = [];
      await client.call('echo', { message: 'hi', repeat_count: 3 }, ({ progress, total }) => seen.push([progress, total]));
      // An SDK may hand over the result before the last of its callbacks has run.
      for (let waits = 0; seen.length < 3 && waits < 100; waits++) await sleep(10);
      return [seen, [[1, 3], [2, 3], [3, 3]]];
    },
    'is known to whoami': async () => [(await structured('whoami', {})).subject, process.env.MCP_SUBJECT],
    'is told of a wrong argument': async () => {
      const result = await client.call('echo', { message: 'hi', repeat_count: 11 });
      return [[result.isError, result.content[0].text.includes('/repeat_count')], [true, true]];
    },
  };
  if (!process.env.MCP_SUBJECT) delete all['is known to whoami'];
  // The Inspector's CLI prints the result alone.
  if (client.showsProgress === false) delete all['sees progress'];
  return all;
}

function report(name, problem) {
  console.log(problem ? `not ok - ${name}: ${problem.replaceAll('\n', ' ')}` : `ok - ${name}`);
  if (problem) process.exitCode = 1;
}

function reason(error) {
  return [error, error.cause].filter(Boolean).map(String).join(': ');
}
