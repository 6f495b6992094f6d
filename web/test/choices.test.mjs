// SPDX-License-Identifier: Apache-2.0
// What a person chooses for the list of jobs and for a log, and that the browser keeps it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { axe, close, end, fleet, open, settled } from './page.mjs';

after(end);

const USUAL = ['State', 'Type', 'Name', 'Tenant', 'Batch', 'Host', 'Waited', 'Ran', 'Submitted'];
const heads = (page) =>
  page.evaluate(() => [...document.querySelectorAll('[role=columnheader]:not(.c-pick)')].map((one) => one.textContent));

async function jobs(page, search = '') {
  await page.at('jobs' + (search && '?q=' + encodeURIComponent(search)));
  await settled(page);
  await page.getByRole('row').nth(1).waitFor();
}

test('columns: chosen with keys alone, kept over a reload, for every search, and reset', async () => {
  const page = await open();
  await jobs(page, 'name:prices-0');
  assert.deepEqual(await heads(page), USUAL);
  await page.getByRole('button', { name: 'Columns' }).focus();
  await page.keyboard.press('Enter');
  const box = (name) => page.getByRole('checkbox', { name, exact: true });
  await page.waitForFunction(() => document.activeElement.type === 'checkbox');
  await page.keyboard.press('Space');
  await page.waitForFunction(() => !document.querySelector('[role=columnheader].c-state'));
  assert.equal(await box('Name').isDisabled(), true, 'the way to the job stays');
  await box('Tags').focus();
  await page.keyboard.press('Space');
  await page.getByRole('gridcell', { name: 'region=eu' }).waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Columns', 'the focus goes back to the button');
  const chosen = ['Type', 'Name', 'Tenant', 'Batch', 'Host', 'Tags', 'Waited', 'Ran', 'Submitted'];
  await page.reload();
  await page.getByRole('gridcell', { name: 'region=eu' }).waitFor();
  assert.deepEqual(await heads(page), chosen);
  await jobs(page, 'state:failed');
  assert.deepEqual(await heads(page), chosen);
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  assert.deepEqual(await heads(page), ['State', 'Type', 'Name', 'Error', 'Tenant', 'Host', 'Ended']);
  await page.getByRole('button', { name: 'Columns' }).waitFor();
  await page.getByRole('combobox', { name: 'Search jobs' }).focus();
  assert.equal(await page.getByRole('checkbox', { name: 'State' }).count(), 0, 'it closes when one goes on elsewhere');
  await close(page);
});

test('every column there is: nothing sticks out of the page, and what axe finds', async () => {
  const page = await open({ bypassCSP: true });
  await jobs(page);
  await page.getByRole('button', { name: 'Columns' }).click();
  assert.deepEqual(await axe(page), []);
  for (const one of await page.locator('.dropped').getByRole('checkbox').all())
    if (!(await one.isDisabled()) && !(await one.isChecked())) await one.check();
  await page.keyboard.press('Escape');
  assert.equal((await heads(page)).length, 18);
  for (const width of [1366, 390]) {
    await page.setViewportSize({ width, height: 860 });
    await settled(page);
    assert.equal(await page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth)), 0, `at ${width}`);
  }
  assert.equal(await page.getByRole('button', { name: 'Columns' }).isVisible(), false, 'cards have no columns');
  await page.getByRole('button', { name: 'Save view…' }).click();
  const box = await page.locator('.dropped').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 390, `on a phone it is seen whole: ${JSON.stringify(box)}`);
  assert.deepEqual(await axe(page), []);
  await close(page);
});

test('views: kept, opened, replaced, deleted, also from another tab', async () => {
  const page = await open();
  await jobs(page, 'state:failed tag.region:eu');
  const views = page.getByRole('group', { name: 'Saved views' });
  assert.equal(await views.count(), 0);
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.getByRole('checkbox', { name: 'Host', exact: true }).uncheck();
  await page.getByRole('button', { name: 'Save view…' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('prices <b>of eu</b>');
  await page.keyboard.press('Enter');
  const link = views.getByRole('link', { name: 'prices <b>of eu</b>' });
  await link.waitFor();
  assert.equal(await link.getAttribute('aria-current'), 'true');
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.keyboard.press('Escape');
  await jobs(page);
  assert.deepEqual(await heads(page), USUAL);
  await link.click();
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  assert.ok(!(await heads(page)).includes('Host'), 'with its columns');
  assert.equal(await page.getByRole('combobox', { name: 'Search jobs' }).inputValue(), 'state:failed tag.region:eu');
  await page.reload();
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  assert.ok(!(await heads(page)).includes('Host'), 'its columns are in the address');

  const other = await page.context().newPage();
  await other.goto(new URL('jobs', fleet.url).href);
  await other.getByRole('row').nth(1).waitFor();
  await other.getByRole('button', { name: 'Save view…' }).click();
  await other.getByRole('textbox', { name: 'Name' }).fill('all there is');
  await other.keyboard.press('Enter');
  await views.getByRole('link', { name: 'all there is' }).waitFor();
  await page.getByRole('button', { name: 'Delete view' }).click();
  await link.waitFor({ state: 'detached' });
  await other.getByRole('group', { name: 'Saved views' }).getByRole('link', { name: 'prices' }).waitFor({ state: 'detached' });
  assert.equal(await other.getByRole('link', { name: 'all there is' }).count(), 1);
  await close(page);
});

test('what a browser has kept and nobody understands is passed over', async () => {
  const page = await open();
  await page.evaluate(() => {
    localStorage.setItem('geres.columns', '{"not": "a list"}');
    localStorage.setItem('geres.views', '[{"name": 7}, null, {"name": "good", "search": "state:failed", "columns": "all"}]');
  });
  await jobs(page);
  assert.deepEqual(await heads(page), USUAL);
  const views = page.getByRole('group', { name: 'Saved views' });
  assert.deepEqual(await views.getByRole('link').allInnerTexts(), ['good']);
  await close(page);
});

test('both streams of a log side by side', async () => {
  const page = await open();
  await page.at('jobs/' + fleet.jobs.evil);
  const log = page.getByRole('region', { name: /^Log/ });
  await log.getByRole('button', { name: 'both' }).click();
  await log.getByText('keeps the two apart').waitFor();
  await log.getByRole('log', { name: 'stderr' }).getByText('alert(1)').waitFor();
  await log.getByText('Nothing was written to stdout.').waitFor();

  await page.at('jobs/' + fleet.jobs.runs);
  await log.getByRole('button', { name: 'both' }).click();
  const out = log.getByRole('log', { name: 'stdout' });
  await out.waitFor();
  const last = async () => +(await out.innerText()).trim().match(/tick (\d+)$/)[1];
  const first = await last();
  await page.waitForFunction(
    (n) =>
      +document
        .querySelector('.log')
        .innerText.trim()
        .match(/tick (\d+)$/)[1] > n,
    first,
  );
  await log.getByText('Nothing was written to stderr yet.').waitFor();
  await close(page);
});
