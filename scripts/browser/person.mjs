#!/usr/bin/env node
// What scripts/clients/person.sh plays, before a real browser: `person.mjs URL` opens an authorization URL, logs in and
// decides, on mcp-idp's pages or Keycloak's, and prints the URL that the browser is then sent to. The environment is
// person.sh's, and CHROMIUM, the browser's program.

import { appendFileSync, readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { CHROMIUM, PERSON = 'alice', PERSON_DECIDES = 'allow', PERSON_VISITS, PERSON_ANSWERS } = process.env;
const [url] = process.argv.slice(2);
const callback = new URL(url).searchParams.get('redirect_uri');

let visits = 1;
if (PERSON_VISITS) {
  appendFileSync(PERSON_VISITS, `${url}\n`);
  visits = readFileSync(PERSON_VISITS, 'utf8').trimEnd().split('\n').length;
}
const decisions = PERSON_DECIDES.split(' ');
const allows = decisions[Math.min(visits, decisions.length) - 1] === 'allow';

// Chromium's own sandbox does not work for root, nor in most containers; it meets nothing here but this machine's pages.
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
const page = await browser.newPage();
page.setDefaultTimeout(10_000);

// The browser goes to the callback URL and does not get there: who is to have it is the caller's business. Playwright's
// own routes do not see what a redirect leads to.
const debug = await page.context().newCDPSession(page);
const arrived = new Promise((resolve) => {
  debug.on('Fetch.requestPaused', ({ requestId, request }) => {
    void debug.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' }).catch(() => {});
    resolve(request.url);
  });
});
await debug.send('Fetch.enable', { patterns: [{ urlPattern: `${callback}*` }] });

// Whatever page comes up is answered, until one leads to the callback.
const login = page.locator('form:has(input[name=password])');
const keycloak = page.locator(allows ? '[name=accept]' : '[name=cancel]');
// "Go back", where there is nothing to allow, denies too.
const ours = page.locator(`[name=decision][value=${allows ? 'allow' : 'deny'}]`);
const decide = keycloak.or(ours);

async function answer() {
  await page.goto(url).catch(interrupted);
  await login.or(decide).first().waitFor();
  if (await login.count()) {
    // By what a person sees, which is the same on both pages.
    await page.getByLabel('Username').fill(PERSON);
    await page.getByLabel('Password', { exact: true }).fill(`${PERSON.replace(/^mcp-/, '')}123`);
    await login.getByRole('button', { name: 'Sign in' }).click();
    // Keycloak does not ask again for what was granted before.
    await decide.waitFor();
  }
  await decide.click();
  await new Promise(() => {});
}

// A navigation that ends at the callback ends with an error.
function interrupted(error) {
  if (!/ERR_ABORTED|interrupted/.test(`${error}`)) throw error;
}

const lost = new Promise((_, reject) => setTimeout(() => reject(new Error('not sent back within 25 s')), 25_000).unref());
try {
  const answered = await Promise.race([arrived, answer(), lost]);
  if (PERSON_ANSWERS) appendFileSync(PERSON_ANSWERS, `${answered}\n`);
  console.log(answered);
} catch (error) {
  console.error(`${`${error}`.split('\n')[0]}\n${await page.locator('body').innerText().catch(() => '')}`);
  process.exitCode = 1;
}
await browser.close();
process.exit();
