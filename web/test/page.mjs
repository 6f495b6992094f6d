// SPDX-License-Identifier: Apache-2.0
// A browser at the page, as a person has it. Whatever a page must never do (a script that fails, an alert, something that
// the content security policy stops, a call to another place) fails the test that it happens in.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const fleet = JSON.parse(process.env.GERES_PAGE);
export const PAGES = {
  overview: '',
  jobs: 'jobs',
  failed: 'jobs?q=state:failed',
  job: 'jobs/' + fleet.jobs.leaves,
  waits: 'jobs/' + fleet.jobs.waits,
  tries: 'jobs/' + fleet.jobs.tries,
  batches: 'batches',
  batch: 'batches/photos',
  dead: 'dead',
  hosts: 'hosts',
  scaler: 'scaler',
  packages: 'packages',
  webhooks: 'webhooks',
  tenants: 'tenants',
  settings: 'settings',
};
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
export async function open({ as = 'admin', width = 1366, height = 860, theme = 'light', bypassCSP = false, ...more } = {}) {
  browser ??= await chromium.launch({ executablePath: fleet.chromium, args: ['--no-sandbox', '--disable-gpu'] });
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: 'en-GB',
    timezoneId: 'UTC',
    bypassCSP,
    ...more,
  });
  const page = await context.newPage();
  page.wrong = [];
  watch(page);
  page.setDefaultTimeout(15000);
  page.at = (to) => page.goto(new URL(to, fleet.url).href);
  if (as) await logIn(page, fleet.tokens[as]);
  return page;
}

export function watch(page) {
  page.wrong ??= [];
  page.on('pageerror', (error) => page.wrong.push(error.stack));
  page.on('dialog', (dialog) => {
    page.wrong.push('a dialog: ' + dialog.message());
    dialog.dismiss();
  });
  page.on('console', (message) => {
    if (/content security policy|violates/i.test(message.text())) page.wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== new URL(fleet.url).origin)
      page.wrong.push('a call to ' + request.url());
  });
}

export async function logIn(page, token) {
  await page.at('');
  await page.getByRole('textbox', { name: 'Token' }).fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
}

export async function close(page) {
  assert.deepEqual(page.wrong, [], 'nothing went wrong on the page');
  await page.context().close();
}

export async function end() {
  await browser?.close();
}

/** What axe finds of WCAG 2.2 A and AA; the context must be opened with bypassCSP. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }),
  );
  const places = (one) => one.nodes.slice(0, 3).map((node) => `${node.target} ${(node.failureSummary ?? '').split('\n')[1]}`);
  return violations.map((one) => `${one.id}: ${places(one).join('; ')}`);
}

/** The page has come to rest: nothing loads any more. */
export async function settled(page) {
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.skeleton'));
}

export const control = async (what) => (await fetch(fleet.control + what, { method: 'POST' })).json();
export const api = async (path, token = fleet.tokens.admin, init = {}) =>
  (
    await fetch(new URL(path, fleet.hub + '/'), {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers },
    })
  ).json();
