// SPDX-License-Identifier: Apache-2.0
// The page while things happen: nothing moves by itself, many tabs, a hub that goes away and comes back.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { api, close, control, end, fleet, open, settled } from './page.mjs';

after(end);

test('new jobs are counted and come in when one asks; rows that are there stay where they are', async () => {
  const page = await open();
  await page.at('jobs');
  await settled(page);
  await page.waitForFunction(() => document.querySelector('.live')?.textContent.includes('Live') && document.querySelector('.live.on'));
  const rows = async () =>
    page.evaluate(() => [...document.querySelectorAll('.tall [role=row]')].map((row) => row.id + row.getBoundingClientRect().top));
  await page.waitForTimeout(800);
  const before = await rows();
  await control('submit?7');
  const pill = page.getByRole('button', { name: /^↑ \d+ new/ });
  await pill.waitFor();
  await page.waitForFunction(() => /↑ 7 new/.test(document.querySelector('.fresh').textContent));
  assert.deepEqual(await rows(), before, 'nothing has moved');
  await pill.click();
  await page.getByRole('link', { name: 'news' }).first().waitFor();
  await pill.waitFor({ state: 'hidden' });
  await close(page);
});

test('paused, nothing is asked and nothing comes', async () => {
  const page = await open();
  await page.at('jobs');
  await settled(page);
  await page.getByRole('button', { name: 'Live' }).click();
  await page.getByRole('button', { name: 'Paused' }).waitFor();
  await page.waitForTimeout(700);
  const calls = [];
  page.on('request', (request) => calls.push(request.url()));
  await control('submit?3');
  await page.waitForTimeout(2500);
  assert.deepEqual(calls, []);
  assert.equal(await page.locator('.fresh').isVisible(), false);
  await close(page);
});

test('a log opens at its end with a thousand lines, reads backwards, and is followed', async () => {
  const page = await open();
  await page.at('jobs/' + fleet.jobs.leaves);
  const log = page.getByRole('log');
  await log.waitFor();
  const text = await log.innerText();
  assert.match(text, /line 20000 of a long log/);
  assert.equal(text.match(/of a long log/g).length, 1000);
  assert.ok(await log.evaluate((el) => el.scrollHeight - el.scrollTop - el.clientHeight < 30), 'at its end');
  await log.evaluate((el) => {
    el.scrollTop = 0;
  });
  await page.waitForFunction(() => document.querySelector('.log').innerText.match(/of a long log/g).length > 1500);
  assert.ok(await log.evaluate((el) => el.scrollTop > 500), 'what one looked at has stayed in its place');
  await page.getByRole('searchbox', { name: 'Find in the log' }).fill('line 77 of');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 1 hit').waitFor();
  const lines = (await log.innerText()).match(/line \d+ of/g).map((line) => +line.split(' ')[1]);
  assert.deepEqual(
    lines,
    Array.from({ length: 20000 }, (_, i) => i + 1),
    'every line once, in order',
  );

  await page.at('jobs/' + fleet.jobs.runs);
  await log.waitFor();
  const last = async () => +(await log.innerText()).trim().match(/tick (\d+)$/)[1];
  const first = await last();
  await page.waitForFunction(
    (n) =>
      +document
        .querySelector('.log')
        .innerText.trim()
        .match(/tick (\d+)$/)[1] >
      n + 5,
    first,
  );
  await close(page);
});

test('a job that changes is shown as it is now', async () => {
  const page = await open();
  const { id } = await api('v1/jobs', fleet.tokens.admin, {
    method: 'POST',
    body: JSON.stringify({
      tenant: 'demo',
      type: 'Shell',
      package: 'shell',
      name: 'to-cancel',
      parameters: { script: 'sleep 300' },
      requires: { labels: { gpu: 'none' } },
    }),
  });
  await page.at('jobs/' + id);
  await page.getByRole('region', { name: 'Why it waits' }).waitFor();
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the job' }).click();
  await page.getByRole('list', { name: 'From submit to end' }).getByText('cancelled').waitFor();
  await close(page);
});

test('ten tabs, and the hub answers each', async () => {
  const first = await open();
  const tabs = [first];
  for (let i = 1; i < 10; i++) {
    const tab = await first.context().newPage();
    tab.setDefaultTimeout(15000);
    tabs.push(tab);
    await tab.goto(new URL(i % 2 ? '' : 'jobs', fleet.url).href);
    await tab.getByRole('heading', { level: 1 }).waitFor();
  }
  const took = await tabs[9].evaluate(async () => {
    const begun = performance.now();
    await (await fetch('v1/info')).json();
    return performance.now() - begun;
  });
  assert.ok(took < 2000, `${took} ms`);
  for (const tab of tabs) await tab.waitForFunction(() => document.querySelector('.live'));
  await tabs[9].waitForFunction(() => document.querySelector('.live.on'));
  await close(first);
});

test('the hub goes away under an open page and comes back', async () => {
  const page = await open();
  await page.at('jobs');
  await page.waitForFunction(() => document.querySelector('.live.on'));
  await page.keyboard.press('g');
  await page.keyboard.press('h');
  await page.getByRole('article').first().waitFor();
  await control('restart');
  // Sessions are in the hub's memory: the page says by itself that there is none any more, and goes on where it was.
  const token = page.getByRole('textbox', { name: 'Token' });
  if (fleet.byHub) {
    await token.waitFor();
    await page.getByText('Your session has ended.').waitFor();
    await token.fill(fleet.tokens.admin);
    await page.getByRole('button', { name: 'Log in' }).click();
  }
  await page.getByRole('heading', { level: 1, name: 'Hosts' }).waitFor();
  await page.getByRole('article').first().waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Jobs', exact: true }).click();
  await page.getByRole('row').nth(2).waitFor();
  await page.waitForFunction(() => document.querySelector('.live.on') && !document.querySelector('[role=alert]'));
  await close(page);
});
