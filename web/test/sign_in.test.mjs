// SPDX-License-Identifier: Apache-2.0
// Signing in by an identity provider's form, in a browser, and what ends it. Run by tests/end_to_end/sign_in_test.py.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';

const given = JSON.parse(process.env.GERES_SIGN_IN);
const browser = await chromium.launch({ executablePath: given.chromium, args: ['--no-sandbox', '--disable-gpu'] });
after(() => browser.close());

function configure(change) {
  const config = JSON.parse(given.authConfig);
  change(config.providers[0]);
  fs.writeFileSync(given.file + '.new', JSON.stringify(config));
  fs.renameSync(given.file + '.new', given.file);
}

async function signIn(name, to = 'hosts') {
  const context = await browser.newContext(),
    page = await context.newPage();
  page.setDefaultTimeout(15000);
  await page.goto(given.url + to);
  await page.getByRole('link', { name: 'Sign in with corp' }).click();
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: /continue/i }).click();
  await page.waitForURL((at) => at.href.startsWith(given.url));
  return { context, page };
}

test('by the form, to the page that was wanted, and out again', async () => {
  const { context, page } = await signIn('ann');
  await page.locator('nav .who', { hasText: 'corp:ann' }).waitFor();
  assert.equal(page.url(), given.url + 'hosts');
  const session = (await context.cookies()).filter((one) => one.name.startsWith('geres') || one.name.startsWith('__Host-geres'));
  assert.deepEqual(
    session.map((one) => [one.name, one.httpOnly, one.sameSite]),
    [['geres', true, 'Lax']],
  );
  assert.deepEqual(
    await page
      .evaluate(() => [document.cookie, Object.values(localStorage).join(), Object.values(sessionStorage).join()])
      .then((all) => all.filter((text) => /eyJ/.test(text))),
    [],
  );
  assert.equal(await page.evaluate(() => fetch('v1/session', { method: 'DELETE' }).then((answer) => answer.status)), 204);
  await page.reload();
  await page.getByRole('link', { name: 'Sign in with corp' }).waitFor();
  await context.close();
});

test('whoever has no role is told so', async () => {
  const { context, page } = await signIn('guest');
  assert.match(await page.getByRole('alert').innerText(), /gives a role/);
  await page.reload();
  await page.getByRole('link', { name: 'Sign in with corp' }).waitFor();
  assert.equal(await page.getByRole('alert').count(), 0, 'once');
  await context.close();
});

test('a role that is taken away ends the session under an open page', async () => {
  const { context, page } = await signIn('ann', '');
  await page.locator('nav .who', { hasText: 'corp:ann' }).waitFor();
  configure((provider) => (provider.roles.map = { 'Jobs.Other': 'viewer' }));
  await page.getByText('Your session has ended').waitFor();
  configure(() => {});
  await context.close();
});
