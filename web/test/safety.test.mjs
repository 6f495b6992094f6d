// SPDX-License-Identifier: Apache-2.0
// What jobs say is text, whatever it looks like; what jobs leave never runs with the page's rights.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { api, close, end, fleet, open, PAGES, settled, watch } from './page.mjs';

after(end);

const EVIL = '<img src=x onerror=alert(1)>';

test('markup in every field is shown as it is', async () => {
  const page = await open();
  for (const [name, to] of Object.entries(PAGES)) {
    await page.at(to);
    await settled(page);
    assert.equal(await page.evaluate(() => document.querySelectorAll('main script, main img[src="x"], nav script').length), 0, name);
  }
  await page.at('jobs/' + fleet.jobs.leaves);
  await settled(page);
  for (const place of [
    page.getByRole('heading', { level: 1 }),
    page.getByRole('region', { name: 'Result' }),
    page.locator('.tag'),
    page.locator('.files li').filter({ hasText: 'onerror' }),
  ])
    assert.ok((await place.first().innerText()).includes(EVIL), String(place));
  await page.at('jobs/' + fleet.jobs.evil);
  await page.getByRole('region', { name: 'Why it failed' }).getByText(EVIL).waitFor();
  await page.getByRole('log').getByText(EVIL).waitFor();
  await page.at('jobs?q=' + encodeURIComponent(`name:"${EVIL.replaceAll('"', '')}"`));
  await settled(page);
  await close(page);
});

test('a link that carries markup, a strange path, a login code', async () => {
  const page = await open();
  for (const to of [
    'jobs?q=' + encodeURIComponent(EVIL),
    'jobs/' + encodeURIComponent(EVIL),
    'hosts?host=' + encodeURIComponent(EVIL),
    'batches/' + encodeURIComponent(EVIL),
    encodeURIComponent(EVIL),
    'dead?since=' + encodeURIComponent(EVIL),
    '#login=' + encodeURIComponent(EVIL),
  ]) {
    await page.at(to);
    await page.getByRole('heading', { level: 1 }).waitFor();
  }
  await close(page);
});

test('what a job left: pictures and text are looked at, nothing runs', async () => {
  const page = await open();
  await page.at('jobs/' + fleet.jobs.leaves);
  await settled(page);
  await page.getByRole('button', { name: 'Preview picture.png' }).click();
  await page.waitForFunction(() => document.querySelector('img.preview')?.naturalWidth === 10);
  await page.getByRole('button', { name: 'Preview page.html' }).click();
  await page.locator('.files').getByText('<h1>hostile</h1>').waitFor();
  await page.getByRole('button', { name: 'Preview notes.txt' }).click();
  await page.locator('.files').getByText('hello from a file').waitFor();
  await page.getByText('1 file left out').waitFor();
  // Opened by themselves they are downloads, or in a sandbox of their own.
  for (const name of ['page.html', 'drawing.svg']) {
    const other = await page.context().newPage();
    watch(other);
    await other
      .goto(new URL(`v1/jobs/${fleet.jobs.leaves}/files/${name}`, fleet.url).href)
      .catch((error) => assert.match(error.message, /download/i));
    await other.waitForTimeout(200);
    assert.notEqual(await other.title(), 'taken');
    assert.deepEqual(other.wrong, []);
    await other.close();
  }
  const answer = await page.request.get(new URL(`v1/jobs/${fleet.jobs.leaves}/files/page.html`, fleet.url).href);
  assert.match(answer.headers()['content-security-policy'], /sandbox/);
  assert.match(answer.headers()['content-disposition'], /attachment/);
  assert.equal(answer.headers()['x-content-type-options'], 'nosniff');
  await close(page);
});

test('the page itself is served under a policy without exceptions', async () => {
  const page = await open({ as: null });
  const answer = await page.goto(fleet.url);
  const policy = answer.headers()['content-security-policy'];
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
    assert.ok(policy.includes(part), policy);
  assert.doesNotMatch(policy, /unsafe/);
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
  });
  assert.equal(await page.evaluate(() => window.ran), undefined, 'an inline script does not run');
  page.wrong.length = 0;
  await close(page);
});

test('the token is given once, and the cookie is none of a script', async () => {
  const page = await open();
  const [cookie] = await page.context().cookies();
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, 'Lax');
  assert.equal(await page.evaluate(() => document.cookie), '');
  assert.notEqual(cookie.value, fleet.tokens.admin);
  await close(page);
});

test('the same command is offered for what is done, quoted for a shell', async () => {
  const page = await open();
  await page.at('jobs?q=' + encodeURIComponent('state:failed name:"it\'s; rm -rf /"'));
  await page.getByText(`geres job list --state failed --name 'it'\\''s; rm -rf /'`).waitFor();
  assert.equal((await api('v1/jobs?name=nobody')).items.length, 0);
  await close(page);
});
