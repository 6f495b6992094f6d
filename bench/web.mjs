// SPDX-License-Identifier: Apache-2.0
// The browser's part of web.py: each figure is of fresh contexts, the middle one and the worst of seven.
import { createRequire } from 'node:module';
import path from 'node:path';

const { chromium } = createRequire(path.join(process.cwd(), 'package.json'))('playwright-core');
const at = JSON.parse(process.env.GERES_PAGE);
const browser = await chromium.launch({ executablePath: at.chromium, args: ['--no-sandbox', '--disable-gpu'] });

async function open() {
  const context = await browser.newContext({ viewport: { width: 1366, height: 860 } }), page = await context.newPage();
  await page.goto(at.url);
  await page.getByRole('textbox', { name: 'Token' }).fill(at.token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const fresh = await browser.newContext({ viewport: { width: 1366, height: 860 }, storageState: await context.storageState() });
  await context.close();
  return fresh.newPage();
}

const middle = (values) => { const sorted = [...values].sort((a, b) => a - b); return `${sorted[sorted.length >> 1].toFixed(0)} ms (worst ${sorted.at(-1).toFixed(0)})`; };

for (const [name, to, ready] of [['Jobs', 'jobs', '.tall [role=row]'], ['Search by tag', 'jobs?q=tag.customer:c77', '.tall [role=row]'], ['Overview', '', '.tile']]) {
  const paints = [], datas = [];
  for (let i = 0; i < 7; i++) {
    const page = await open();
    await page.goto(at.url + to, { waitUntil: 'commit' });
    await page.waitForSelector(ready);
    datas.push(await page.evaluate(() => performance.now()));
    paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN));
    await page.context().close();
  }
  console.log(`${name}, ${at.jobs} jobs: first paint ${middle(paints)}, data ${middle(datas)}`);
}

const page = await open();
await page.addInitScript(() => {
  window.slow = [];
  window.long = 0;
  new PerformanceObserver((list) => window.slow.push(...list.getEntries().map((one) => one.duration))).observe({ type: 'event', durationThreshold: 16 });
  new PerformanceObserver((list) => { window.long += list.getEntries().length; }).observe({ type: 'longtask' });
});
await page.goto(at.url + 'jobs');
await page.waitForSelector('.tall [role=row]');
await page.getByRole('grid').focus();
for (let i = 0; i < 120; i++) await page.keyboard.press('PageDown');
for (let i = 0; i < 60; i++) await page.keyboard.press(i % 3 ? 'j' : 'x');
await page.waitForTimeout(300);
const said = await page.evaluate(() => ({ worst: Math.max(0, ...window.slow), long: window.long, nodes: document.querySelectorAll('*').length }));
console.log(`120 pages and 60 rows by keys: worst answer ${said.worst} ms, long tasks ${said.long}, ${said.nodes} elements in the document`);
const loaded = await page.evaluate(() => performance.getEntriesByType('resource').filter((one) => /assets\//.test(one.name)).reduce((sum, one) => sum + one.encodedBodySize, 0));
console.log(`${(loaded / 1000).toFixed(1)} kB of the page's files for Jobs, as sent`);
await browser.close();
