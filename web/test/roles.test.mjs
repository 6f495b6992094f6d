// SPDX-License-Identifier: Apache-2.0
// What somebody may not do is not offered; what somebody may not see is not there.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { close, end, fleet, open, PAGES, settled } from './page.mjs';

after(end);

/** All buttons of all pages that somebody sees; a call that is refused fails the test. */
async function buttons(as) {
  const page = await open({ as }),
    names = new Set();
  const refused = [];
  page.on('response', (answer) => {
    if (answer.status() === 403) refused.push(answer.url());
  });
  for (const to of Object.values(PAGES)) {
    await page.at(to);
    await settled(page);
    for (const name of await page.getByRole('button').allInnerTexts()) names.add(name.trim());
  }
  assert.deepEqual(refused, [], `${as} is offered nothing that is refused`);
  await close(page);
  return names;
}

test('a viewer looks', async () => {
  const names = await buttons('viewer');
  for (const name of names) assert.doesNotMatch(name, /Redrive|Cancel|Dismiss|Drain|Pause…|Delete|Withdraw|Change|Rotate/, name);
});

test('a submitter redrives and cancels, and drains nothing', async () => {
  const names = await buttons('submitter');
  assert.ok(names.has('Redrive…') && names.has('Cancel…'), [...names].join());
  for (const name of names) assert.doesNotMatch(name, /Drain|Withdraw|^Change$/, name);
});

test('an operator drains and changes shares, and sees no tokens', async () => {
  const names = await buttons('operator');
  assert.ok(names.has('Drain…') && names.has('Change'), [...names].join());
  for (const name of names) assert.doesNotMatch(name, /Withdraw/, name);
});

test('another tenant sees nothing of this one', async () => {
  const page = await open({ as: 'stranger' });
  for (const [name, to] of Object.entries(PAGES)) {
    await page.at(to);
    await settled(page);
    const text = await page.locator('body').innerText();
    assert.doesNotMatch(text, /prices-|IMG_|secret-of-acme|hook\.example|needs-a-gpu|onerror/, name);
  }
  await page.at('jobs/' + fleet.jobs.acme);
  await page.getByRole('alert').waitFor();
  await close(page);
});

test('a viewer of one tenant finds no job of another', async () => {
  const page = await open({ as: 'viewer' });
  await page.at('jobs?q=name:secret-of-acme');
  await page.getByText('No job fits.').waitFor();
  await close(page);
});

test('a tab tells who is there, and logging in as somebody else changes that', async () => {
  const page = await open({ as: 'viewer' });
  await page.getByRole('navigation').getByText('viewer of demo').waitFor();
  await page.at('login');
  await page.getByRole('textbox', { name: 'Token' }).fill(fleet.tokens.operator);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('navigation').getByRole('link', { name: 'operator' }).waitFor();
  await close(page);
});
