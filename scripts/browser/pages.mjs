// The rendered pages by themselves: `node pages.mjs FOLDER`, with what the unit tests of mcp-idp left in the folder.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { end, focused, frames, listen, look, scene, settle, tabTo } from './browser.mjs';

const [folder] = process.argv.slice(2);
const headers = JSON.parse(readFileSync(`${folder}/headers.json`, 'utf8'));

// Where the pages' forms lead: an answer to any post redirects to `goes`, as an authorization server's would.
const posted = [];
let host = '127.0.0.1';
let goes = '';
const idp = await listen('127.0.0.1', async (request, response) => {
  const { pathname } = new URL(request.url, 'http://x');
  if (request.method === 'POST') {
    let body = '';
    for await (const chunk of request) body += chunk;
    posted.push({ path: pathname, origin: request.headers.origin, ...Object.fromEntries(new URLSearchParams(body)) });
    response.writeHead(303, { Location: goes }).end();
  } else if (pathname === '/style.css') {
    response.writeHead(200, { 'Content-Type': 'text/css' }).end(readFileSync(`${folder}/style.css`));
  } else if (existsSync(`${folder}${pathname}.html`)) {
    const port = goes ? new URL(goes).port : '1';
    for (const [name, value] of Object.entries(headers[host])) response.setHeader(name, value.replace(':33418', `:${port}`));
    response.end(readFileSync(`${folder}${pathname}.html`));
  } else {
    response.writeHead(404).end();
  }
});

for (const file of readdirSync(folder).filter((file) => file.endsWith('.html')).sort()) {
  const name = file.slice(0, -'.html'.length);
  await scene(name, async (page, same) => {
    const complaints = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(`${error}`));
    page.on('dialog', (dialog) => complaints.push(`dialog ${dialog.message()}`));
    await page.goto(`${idp.url}/${name}`);
    await look(page, name);
    same('the browser has nothing to complain of', complaints, []);
  });
}

await scene('login', async (page, same) => {
  await page.goto(`${idp.url}/login`);
  same('the first field has the focus', await focused(page), 'username');
  same('and shows it', await outlined(page), true);
  await page.getByLabel('Username').fill('alice');
  await tabTo(page, 'password');
  await page.keyboard.type('secret');
  goes = `${idp.url}/message`;
  await page.keyboard.press('Enter');
  await page.waitForURL(goes);
  same('Enter posts the form, and says where it comes from', posted.pop(), {
    path: '/login', origin: idp.url, request: 'r3quest', csrf: 't0ken', username: 'alice', password: 'secret',
  });
  await page.goto(`${idp.url}/login-wrong`);
  same('after a wrong password, the password has the focus', await focused(page), 'password');
  same('described by the problem', await page.getByLabel('Password').getAttribute('aria-describedby'), 'problem');
  same('which is an alert', await page.getByRole('alert').innerText(), 'The username or the password is wrong.');
});

await scene('consent', async (page, same) => {
  await page.goto(`${idp.url}/consent`);
  same('nothing has the focus that Enter would press', await page.evaluate(() => document.activeElement.tagName), 'BODY');
  const allow = page.getByRole('button', { name: 'Allow' });
  const centre = await allow.boundingBox().then(({ x, y, width, height }) => [x + width / 2, y + height / 2]);
  // Rewound, since on a slow machine it may be over already.
  const rewound = await allow.evaluate((button) => {
    button.style.animationName = 'none';
    button.getAnimations();
    button.style.animationName = '';
    const [animation] = button.getAnimations();
    animation?.pause();
    return animation?.animationName;
  });
  same('the buttons settle first', rewound, 'settle');
  await page.mouse.click(...centre);
  same('and take no click before', [posted, page.url()], [[], `${idp.url}/consent`]);
  await allow.evaluate((button) => button.getAnimations().forEach((animation) => animation.finish()));
  goes = `${idp.url}/message`;
  await page.mouse.click(...centre);
  await page.waitForURL(goes);
  same('but after', posted.pop(), {
    path: '/consent', origin: idp.url, request: 'r3quest', csrf: 't0ken', decision: 'allow',
  });
  for (const [button, decision] of [['Deny', 'deny'], ['Allow', 'allow'], ['Use another account', 'switch']]) {
    await page.goto(`${idp.url}/consent`);
    await tabTo(page, button);
    same(`the keyboard comes to "${button}", and sees where it is`, await outlined(page), true);
    await page.keyboard.press('Enter');
    await page.waitForURL(goes);
    same(`and "${button}" is ${decision}`, posted.pop().decision, decision);
  }
});

// Chromium applies form-action to the redirect after the form too, and cannot say an IPv6 address in it.
for (const [name, address] of [['127.0.0.1', '127.0.0.1'], ['localhost', '127.0.0.1'], ['[::1]', '::1']]) {
  await scene(`redirect to ${name}`, async (page, same) => {
    const called = await listen(address, (request, response) => response.end('done'));
    const other = await listen(address, (request, response) => response.end('elsewhere'));
    host = name;
    goes = `http://${name}:${called.port}/callback`;
    await page.goto(`${idp.url}/consent`);
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL(goes);
    same('arrives', await page.innerText('body'), 'done');
    await page.goto(`${idp.url}/consent`);
    // The policy is that of the page, which has been loaded.
    goes = `http://${name}:${other.port}/callback`;
    const blocked = page.waitForEvent('requestfailed');
    await page.getByRole('button', { name: 'Allow' }).click();
    await blocked;
    same('to another port is stopped', page.url(), `${idp.url}/consent`);
  });
}
host = '127.0.0.1';

await scene('frame', async (page, same) => {
  for (const name of ['login', 'consent', 'message']) {
    same(`${name} does not show itself in it`, await frames(page, `${idp.url}/${name}`), false);
  }
  same('a page without such headers does', await frames(page, `${idp.url}/style.css`), true);
});

await scene('less motion', async (page, same) => {
  await page.goto(`${idp.url}/consent`);
  const fades = () => page.evaluate(() => getComputedStyle(document.querySelector('button')).transitionDuration);
  same('fades', await fades(), '0.12s');
  await page.emulateMedia({ reducedMotion: 'reduce' });
  same('does not fade for whom it would hurt', await fades(), '0s');
});

await end();

async function outlined(page) {
  await settle(page);
  return page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return outlineStyle === 'solid' && Number.parseFloat(outlineWidth) >= 2;
  });
}
