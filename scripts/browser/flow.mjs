// The whole way through the authorization server, as a client and the people before the browser: `node flow.mjs BASE`,
// with the URL of a server that is its own authorization server, for the resource BASE/mcp.
//
// Its people: alice may do everything, bob may read, guest may do nothing.

import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, focused, frames, listen, look, same, scene, tabTo } from './browser.mjs';

const [base] = process.argv.slice(2);
const resource = `${base}/mcp`;
const metadata = await (await fetch(`${base}/.well-known/oauth-authorization-server`)).json();

const PASSWORDS = { alice: 'alice123', bob: 'bob123', guest: 'guest123' };

// The client's end: whatever comes back to it, in order.
const calls = [];
const called = await listen('127.0.0.1', (request, response) => {
  const url = new URL(request.url, called.url);
  if (url.pathname === '/callback') calls.push(Object.fromEntries(url.searchParams));
  response.setHeader('Content-Type', 'text/html');
  response.end('<!doctype html><title>Back at the program</title>');
});
const redirectUri = `${called.url}/callback`;
const back = (url) => url.href.startsWith(redirectUri);

// The answers to one request: other scenes' have another state.
const answers = (asked) => calls.filter(({ state }) => state === asked.state);

async function register(name) {
  const response = await fetch(metadata.registration_endpoint, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      client_name: name,
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
    }),
  });
  return { status: response.status, ...(await response.json()) };
}

// A request of a client of its own, so that no scene finds what another has allowed.
async function ask(name = 'Browser test', changes = {}) {
  const { client_id, error } = await register(name);
  if (!client_id) throw new Error(`${name} cannot register: ${error}`);
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(12).toString('base64url');
  const url = new URL(metadata.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id,
    redirect_uri: redirectUri,
    state,
    scope: 'mcp:read mcp:tools',
    resource,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...changes,
  });
  return { url: url.href, client_id, state, verifier };
}

async function redeem(asked, code) {
  const response = await fetch(metadata.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: asked.client_id,
      redirect_uri: redirectUri,
      code_verifier: asked.verifier,
      code,
      resource,
    }),
  });
  return { status: response.status, ...(await response.json()) };
}

async function signIn(page, username, password = PASSWORDS[username]) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

// As far as the consent page.
async function consent(page, username, name) {
  const asked = await ask(name);
  await page.goto(asked.url);
  await signIn(page, username);
  await page.getByText('Signed in as').waitFor();
  return asked;
}

const button = (page, name) => page.getByRole('button', { name });
const press = async (page, name) => {
  await button(page, name).click();
  await page.waitForURL(back);
};
const heading = (page) => page.getByRole('heading', { level: 1 }).innerText();
const list = (page, name) => page.locator(`h2:text-is("${name}") + ul li code`).allInnerTexts();

await scene('login', async (page, same) => {
  const asked = await ask();
  await page.goto(asked.url);
  same('says what it is', [await heading(page), (await page.title()).startsWith('Sign in')], ['Sign in', true]);
  same('has the focus in the first field', await focused(page), 'username');
  same('names the program and where it is', await page.locator('.asker').innerText().then((text) =>
    [text.includes('“Browser test”'), text.includes(`127.0.0.1:${called.port}`)]), [true, true]);
  await look(page, 'flow login');
  await signIn(page, 'alice', 'wrong');
  const alert = page.getByRole('alert');
  await alert.waitFor();
  same('a wrong password is told', await alert.innerText(), 'The username or the password is wrong.');
  same('keeps the username', await page.getByLabel('Username').inputValue(), 'alice');
  same('forgets the password', await page.getByLabel('Password').inputValue(), '');
  same('and waits there for another', await focused(page), 'password');
  await look(page, 'flow login wrong');
  await signIn(page, 'nobody', 'wrong');
  await alert.waitFor();
  same('an unknown user is told the same', await alert.innerText(), 'The username or the password is wrong.');
  await signIn(page, 'alice');
  await page.getByText('Signed in as').waitFor();
  same('then the right one goes on', [await heading(page), answers(asked)], ['Allow access?', []]);
  const cookies = await page.context().cookies();
  same('no script can read the cookies, no other site send them',
    [cookies.length > 0, cookies.filter(({ httpOnly, sameSite }) => !httpOnly || sameSite === 'None')], [true, []]);
});

await scene('allow', async (page, same) => {
  const asked = await consent(page, 'alice');
  const text = await page.locator('main').innerText();
  for (const shown of ['calls itself', '“Browser test”', `127.0.0.1:${called.port}`, redirectUri, resource, 'alice', 'runs on this computer']) {
    same(`the page shows ${shown.replace(/:\d+/, '')}`, text.includes(shown), true);
  }
  same('and what would be allowed', await list(page, 'It could then'), ['mcp:read', 'mcp:tools']);
  await look(page, 'flow consent');
  await press(page, 'Allow');
  const [{ code, ...rest }, ...more] = answers(asked);
  same('one code arrives, with state and issuer', [typeof code, rest, more],
    ['string', { state: asked.state, iss: metadata.issuer }, []]);
  const token = await redeem(asked, code);
  same('and is good for a token', [token.status, typeof token.access_token], [200, 'string']);

  await page.goBack();
  same('the way back leads to a message', [await button(page, 'Allow').count(), await page.locator('h1').count()], [0, 1]);
  same('which is none of the browser', page.url().startsWith(base), true);
  await look(page, 'flow back');
  await page.reload();
  same('and to no second code', answers(asked).length, 1);
});

await scene('deny', async (page, same) => {
  const asked = await consent(page, 'alice');
  await press(page, 'Deny');
  same('is told to the program', answers(asked).map(({ error_description, ...rest }) => rest),
    [{ error: 'access_denied', state: asked.state, iss: metadata.issuer }]);
});

await scene('keyboard', async (page, same) => {
  const asked = await ask();
  await page.goto(asked.url);
  same('starts in the first field', await focused(page), 'username');
  await page.keyboard.type('alice');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORDS.alice);
  await page.keyboard.press('Enter');
  await page.getByText('Signed in as').waitFor();
  await page.keyboard.press('Enter');
  await sleep(200);
  same('an Enter too many allows nothing', [answers(asked), await button(page, 'Allow').count()], [[], 1]);
  await tabTo(page, 'Allow');
  await page.keyboard.press('Enter');
  await page.waitForURL(back);
  same('is enough', answers(asked).map(({ code }) => typeof code), ['string']);
});

await scene('double click', async (page, same) => {
  const asked = await consent(page, 'alice');
  await button(page, 'Allow').dblclick();
  // The second click may break off what the first began.
  for (let waits = 0; waits < 50 && !back(new URL(page.url())); waits++) await sleep(100);
  same('ends at the program', page.url().startsWith(redirectUri), true);
  await sleep(200);
  const codes = new Set(answers(asked).map(({ code }) => code));
  same('with one code', codes.size, 1);
  same('which is good', (await redeem(asked, [...codes][0])).status, 200);
});

await scene('two windows', async (page, same) => {
  const asked = await consent(page, 'alice');
  const second = await page.context().newPage();
  await second.goto(page.url());
  const copies = await button(second, 'Allow').count();
  await press(page, 'Allow');
  if (copies) await button(second, 'Allow').click();
  await sleep(500);
  same('one code for one request', new Set(answers(asked).map(({ code }) => code)).size, 1);
});

await scene('another account', async (page, same) => {
  const asked = await consent(page, 'alice');
  await button(page, 'Use another account').click();
  await page.getByLabel('Password').waitFor();
  same('asks for it', [await heading(page), answers(asked)], ['Sign in', []]);
  await signIn(page, 'bob');
  await page.getByText('Signed in as').waitFor();
  same('and goes on with it', await page.locator('.switch .who').innerText(), 'bob');
});

await scene('bob', async (page, same) => {
  const asked = await consent(page, 'bob');
  same('may allow what he may do', await list(page, 'It could then'), ['mcp:read']);
  same('and sees what he may not', await list(page, 'Not open to your account'), ['mcp:tools']);
  await look(page, 'flow consent bob');
  await press(page, 'Allow');
  const token = await redeem(asked, answers(asked)[0].code);
  same('gets no more than that', [token.status, token.scope], [200, 'mcp:read']);
});

await scene('guest', async (page, same) => {
  const asked = await consent(page, 'guest');
  same('may allow nothing', [await heading(page), await button(page, 'Allow').count()], ['Nothing to allow', 0]);
  same('and sees what it was', await list(page, 'Not open to your account'), ['mcp:read', 'mcp:tools']);
  await look(page, 'flow consent guest');
  await press(page, 'Go back');
  same('which is told to the program', answers(asked).map(({ error, code }) => [error, code]), [['access_denied', undefined]]);
});

const HOSTILE = '</p><script>alert(1)</script>”, approved by the administrator. \u202Elave\u2066\u200B“<img src=x onerror=alert(2)>';
const registered = await register(HOSTILE);
if (registered.status >= 400) {
  same('hostile name: is refused at registration', [registered.status, registered.error], [400, 'invalid_client_metadata']);
} else {
  await scene('hostile name', async (page, same) => {
    const alarms = [];
    page.on('dialog', (dialog) => alarms.push(dialog.message()) && dialog.dismiss());
    page.on('console', (message) => alarms.push(message.text()));
    await consent(page, 'alice', HOSTILE);
    const name = await page.locator('.name').innerText();
    same('stays in its quotation marks', [name.match(/[“”]/g), /[\u202E\u2066\u200B]/.test(name)], [['“', '”'], false]);
    same('is text and nothing else', [await page.locator('script, img').count(), alarms], [0, []]);
    await look(page, 'flow consent hostile');
  });
}

await scene('frame', async (page, same) => {
  same('login does not show itself in it', await frames(page, (await ask()).url), false);
  await consent(page, 'alice');
  same('nor does consent', await frames(page, (await ask()).url), false);
});

for (const [name, changes] of [
  ['an unknown client', { client_id: 'nobody' }],
  ['a redirect URI of somebody else', { redirect_uri: 'https://evil.example/callback' }],
]) {
  await scene(name, async (page, same) => {
    const asked = await ask('Browser test', changes);
    const response = await page.goto(asked.url);
    same('gets a message, and nobody is sent anywhere', [response.status(), page.url().startsWith(base), await page.locator('h1').count()], [400, true, 1]);
    await look(page, `flow ${name}`);
  });
}

await scene('without the cookie', async (page, same) => {
  const asked = await ask();
  await page.goto(asked.url);
  await page.context().clearCookies();
  await signIn(page, 'alice');
  await page.waitForLoadState();
  same('a login goes no further', [await page.getByText('Signed in as').count(), await page.locator('h1').count(), answers(asked)], [0, 1, []]);
});

await end();
