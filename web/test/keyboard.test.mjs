// SPDX-License-Identifier: Apache-2.0
// The whole page without a pointer.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { close, end, fleet, open, settled } from './page.mjs';

after(end);

const headline = (page, name) => page.getByRole('heading', { level: 1, name }).waitFor();

test('g and a letter goes to each page', async () => {
  const page = await open();
  for (const [key, name] of [
    ['j', 'Jobs'],
    ['b', 'Batches'],
    ['d', 'Dead letters'],
    ['h', 'Hosts'],
    ['a', 'Autoscaler'],
    ['p', 'Packages'],
    ['w', 'Webhooks'],
    ['t', 'Tenants and tokens'],
    ['s', 'Settings'],
    ['o', 'Overview'],
  ]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await headline(page, name);
  }
  await close(page);
});

test('search, rows, selection, the dialog, and back', async () => {
  const page = await open();
  await page.keyboard.press('/');
  await page.getByRole('combobox', { name: 'Search jobs' }).waitFor();
  await page.waitForFunction(() => document.activeElement.id === 'search');
  await page.keyboard.type('sta');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.keyboard.type('fai');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  const grid = page.getByRole('grid', { name: 'Jobs' });
  await grid.focus();
  const active = async () => page.locator('#' + (await grid.getAttribute('aria-activedescendant'))).innerText();
  const first = await active();
  await page.keyboard.press('j');
  await page.waitForFunction(
    (text) => document.getElementById(document.querySelector('[role=grid]').getAttribute('aria-activedescendant')).innerText !== text,
    first,
  );
  await page.keyboard.press('x');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('x');
  await page.getByText('2 jobs selected').waitFor();
  await page.keyboard.press('r');
  const dialog = page.getByRole('dialog', { name: 'Redrive 2 selected jobs?' });
  await dialog
    .getByText(/geres job redrive \S+ \S+/)
    .first()
    .waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('role')), 'grid', 'the focus is where it was');
  await page.keyboard.press('Escape');
  await page.getByText('2 jobs selected').waitFor({ state: 'detached' });
  await page.keyboard.press('k');
  const name = (await active()).split('\n').find((text) => /^(prices|IMG|tries|fails)/.test(text));
  await page.keyboard.press('Enter');
  await headline(page, name);
  await page.keyboard.press('Escape');
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  await close(page);
});

test('everything that can be pressed is reached by Tab, in view and with a focus that shows', async () => {
  const page = await open();
  for (const to of ['', 'jobs/' + fleet.jobs.tries, 'dead', 'hosts', 'webhooks', 'tenants', 'settings', 'batches/photos']) {
    await page.at(to);
    await settled(page);
    const all = await page.evaluate(
      () =>
        [...document.querySelectorAll('a[href],button:not(:disabled),select,input,textarea,summary')].filter(
          (one) => one.checkVisibility() && one.tabIndex >= 0,
        ).length,
    );
    await page.evaluate(() => {
      document.activeElement?.blur();
      window.seen = new Set();
    });
    for (let i = 0; i < all + 12; i++) {
      await page.keyboard.press('Tab');
      const fault = await page.evaluate(() => {
        const one = document.activeElement;
        if (one === document.body) return '';
        window.seen.add(one);
        const style = getComputedStyle(one),
          box = one.getBoundingClientRect();
        if (style.outlineStyle === 'none' && getComputedStyle(one.parentElement).outlineStyle === 'none')
          return 'no focus shows: ' + one.outerHTML.slice(0, 100);
        return box.bottom < 0 || box.top > innerHeight ? 'out of view: ' + one.outerHTML.slice(0, 100) : '';
      });
      assert.equal(fault, '', to);
    }
    const missed = await page.evaluate(() =>
      [...document.querySelectorAll('a[href],button:not(:disabled),select,input,textarea,summary')]
        .filter((one) => one.checkVisibility() && one.tabIndex >= 0 && !window.seen.has(one))
        .map((one) => one.outerHTML.slice(0, 100)),
    );
    assert.deepEqual(missed, [], to);
  }
  await close(page);
});

test('tables: keys go from row to row, to the same place in each', async () => {
  const page = await open();
  const place = () =>
    page.evaluate(() => {
      const row = document.activeElement.closest('tbody tr');
      return row && [[...row.parentElement.children].indexOf(row), document.activeElement.localName, row.parentElement.children.length];
    });
  await page.at('dead');
  await settled(page);
  await page.getByRole('table').getByRole('link').first().focus();
  const [, , rows] = await place();
  assert.ok(rows > 2, `${rows} kinds`);
  for (const [key, row] of [
    ['j', 1],
    ['ArrowDown', 2],
    ['k', 1],
    ['End', rows - 1],
    ['ArrowDown', rows - 1],
    ['Home', 0],
    ['ArrowUp', 0],
  ]) {
    await page.keyboard.press(key);
    assert.deepEqual(await place(), [row, 'a', rows], key);
  }
  await page.at('tenants');
  await settled(page);
  await page.getByRole('button', { name: 'Change acme' }).focus();
  await page.keyboard.press('j');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Change', 'from button to button');
  await close(page);
});

test('help, and single letters turned off', async () => {
  const page = await open();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'detached' });
  await page.at('settings');
  await page.getByRole('combobox', { name: 'Keys of a single letter' }).selectOption('off');
  await page.keyboard.press('Tab');
  await page.keyboard.press('g');
  await page.keyboard.press('j');
  await page.keyboard.press('?');
  assert.equal(await page.getByRole('dialog').count(), 0);
  await headline(page, 'Settings');
  await page.reload();
  await page.waitForFunction(() => [...document.querySelectorAll('select')].some((one) => one.value === 'off'));
  await close(page);
});

test('the skip link', async () => {
  const page = await open();
  await page.reload();
  await headline(page, 'Overview');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await close(page);
});
