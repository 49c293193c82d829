// The browser, and what holds for every page in it.
//
// A driver is run as `node DRIVER ARGS…`, with
//   CHROMIUM   the browser's program
//   SHOTS      the folder for screenshots
// One line per check is printed: `ok - NAME` or `not ok - NAME: REASON`.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { chromium } from 'playwright-core';

// A browser that hangs must not hang the tests.
setTimeout(() => {
  report('comes to an end', 'not within five minutes');
  process.exit(1);
}, 300_000).unref();

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } };

// Chromium's own sandbox does not work for root, nor in most containers; it meets nothing here but this machine's pages.
export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });

export function report(name, problem) {
  console.log(problem ? `not ok - ${name}: ${problem.replaceAll('\n', ' ')}` : `ok - ${name}`);
  if (problem) process.exitCode = 1;
}

export function same(name, actual, expected) {
  report(name, isDeepStrictEqual(actual, expected) ? '' : `${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}

// A scene has a browser of its own, as far as cookies go. One that breaks off is one failure, and the next goes on.
export async function scene(name, play, options = {}) {
  const context = await browser.newContext({ viewport: SIZES.wide, ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  try {
    await play(page, (what, actual, expected) => same(`${name}: ${what}`, actual, expected));
  } catch (error) {
    report(`${name}: plays to its end`, `${error}`.split('\n')[0]);
    await page.screenshot({ path: `${process.env.SHOTS}/broken-${name.replaceAll(' ', '-')}.png` }).catch(() => {});
  } finally {
    await context.close();
  }
}

// Light and dark, wide and narrow: axe finds nothing, nothing is wider than the window, and a picture is kept.
export async function look(page, name) {
  const problems = [];
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      await settle(page);
      const where = `${colorScheme} ${size}`;
      problems.push(...(await violations(page)).map((violation) => `${where}: ${violation}`));
      if (await overflows(page)) problems.push(`${where}: scrolls sideways`);
      await page.screenshot({ path: `${process.env.SHOTS}/${name.replaceAll(' ', '-')}-${colorScheme}-${size}.png`, fullPage: true });
    }
  }
  // WCAG 2.2 §1.4.10: what is 1280 wide can be magnified to 400 %.
  await page.setViewportSize({ width: 320, height: 256 });
  if (await overflows(page)) problems.push('at 400 %: scrolls sideways');
  await page.setViewportSize(SIZES.wide);
  await page.emulateMedia({ colorScheme: null });
  report(`${name.replace(/^flow /, "")}: axe finds nothing, nothing is cut off, light and dark, wide and narrow`, problems.join('; '));
}

// Evaluated by the debugger, which the page's policy does not bind.
async function violations(page) {
  await page.evaluate(axe);
  // WCAG 2.2 AA has it, and axe leaves it out unless told.
  const options = { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } };
  const found = await page.evaluate((options) => window.axe.run(document, options), options);
  return found.violations.map(({ id, nodes }) => `${id} (${nodes.map(({ target }) => target.join(' ')).join(', ')})`);
}

const overflows = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

// Until colours have faded into each other, and buttons take clicks.
export async function settle(page) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
}

// Whether a page shows itself in a frame of somebody else's page.
export async function frames(page, url) {
  const outer = await listen('127.0.0.1', (request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(`<title>Not yours</title><iframe src="${url}"></iframe>`);
  });
  await page.goto(outer.url);
  outer.server.close();
  const frame = await page.locator('iframe').elementHandle().then((iframe) => iframe.contentFrame());
  await frame.waitForLoadState();
  // A refused one is replaced by the browser's own page.
  return frame.url() !== 'chrome-error://chromewebdata/';
}

export async function listen(host, handler) {
  const server = http.createServer(handler);
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const { port } = server.address();
  return { server, port, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}` };
}

// What has the focus, by its id, or by what it says. `autofocus` is given with a picture, which may come after the load
// event, and before its animation frames: what is typed earlier is lost.
export const focused = (page) =>
  page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return document.activeElement.id || document.activeElement.innerText?.trim().slice(0, 40);
  });

export async function tabTo(page, what) {
  const passed = [];
  for (let presses = 0; presses < 20; presses++) {
    await page.keyboard.press('Tab');
    const now = await focused(page);
    if (now === what) return;
    passed.push(now);
  }
  throw new Error(`Tab never comes to ${what}, only to ${passed.join(', ')}`);
}

export async function end() {
  await browser.close();
  process.exit();
}
