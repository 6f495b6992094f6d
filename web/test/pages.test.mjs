// SPDX-License-Identifier: Apache-2.0
// Each page in both themes and on a phone: its headline, what axe finds, that nothing sticks out, and its picture.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, axe, close, control, end, fleet, open, PAGES, settled } from './page.mjs';

before(() => control('sicken'));
after(end);

const LOOKS = [
  { name: 'light', theme: 'light', width: 1366, height: 860 },
  { name: 'dark', theme: 'dark', width: 1366, height: 860 },
  { name: 'phone', theme: 'light', width: 390, height: 844 },
  { name: 'zoom', theme: 'dark', width: 320, height: 256 },
];

/** What sticks out of the page, and what is too small to be pressed. */
function misfits(least) {
  const wide = document.documentElement.scrollWidth - innerWidth;
  const small = [...document.querySelectorAll('button,a.button,select,nav a,input:not([type=checkbox])')]
    .filter((one) => one.checkVisibility() && !one.closest('.skip,p'))
    .map((one) => [one.outerHTML.slice(0, 90), one.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height < least)
    .map(([text, box]) => `too small: ${text} ${box.height}`);
  return [...(wide > 0 ? [`${wide} px stick out`] : []), ...small];
}

for (const look of LOOKS) {
  test(`pages, ${look.name}`, async () => {
    const page = await open({ ...look, bypassCSP: true });
    const faults = [];
    for (const [name, to] of Object.entries(PAGES)) {
      await page.at(to);
      await settled(page);
      const troubles = await page.getByRole('alert').allInnerTexts();
      const found = [...troubles, ...(await axe(page)), ...(await page.evaluate(misfits, look.width < 760 ? 43.5 : 24))];
      faults.push(...found.map((one) => `${name}: ${one}`));
      if (fleet.shots && look.name !== 'zoom') await page.screenshot({ path: `${fleet.shots}/${name}-${look.name}.png` });
    }
    assert.deepEqual(faults, []);
    await close(page);
  });
}

test('without bypassing the policy every page works under it', async () => {
  const page = await open();
  for (const to of Object.values(PAGES)) {
    await page.at(to);
    await settled(page);
  }
  await close(page);
});

test('log in: a wrong token, the right one, and back to where one was', async () => {
  const page = await open({ as: null, bypassCSP: true });
  await page.at('jobs?q=state:failed');
  await page.getByRole('textbox', { name: 'Token' }).fill('wrong');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').waitFor();
  assert.deepEqual(await axe(page), []);
  if (fleet.shots) await page.screenshot({ path: `${fleet.shots}/login-light.png` });
  await page.getByRole('textbox', { name: 'Token' }).fill(fleet.tokens.viewer);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('row').nth(3).waitFor();
  assert.equal(
    await page.evaluate(() =>
      JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie]).includes('token'),
    ),
    false,
    'no token is kept',
  );
  await page.at('settings');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('textbox', { name: 'Token' }).waitFor();
  await close(page);
});

test('the whole state is in the address: a link, a reload and Back', async () => {
  const page = await open();
  await page.at('jobs');
  await settled(page);
  await page.getByRole('button', { name: /^failed/ }).click();
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  assert.match(page.url(), /jobs\?q=state/);
  await page.reload();
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  await page.getByRole('link', { name: 'prices-0' }).click();
  await page.getByRole('heading', { level: 1, name: 'prices-0' }).waitFor();
  await page.goBack();
  await page.getByRole('columnheader', { name: 'Error' }).waitFor();
  await close(page);
});

test('an unknown filter is answered with the nearest, and nothing is asked of the hub', async () => {
  const page = await open();
  await page.at('jobs?q=' + encodeURIComponent('typ:Shell'));
  await page.getByText('Did you mean type:Shell?').waitFor();
  await page.getByRole('combobox', { name: 'Search jobs' }).fill('state:faild');
  await page.keyboard.press('Enter');
  await page.getByText('Did you mean state:failed?').waitFor();
  await page.getByRole('combobox', { name: 'Search jobs' }).fill('name:IMG_3 state:failed');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'IMG_3' }).waitFor();
  assert.equal(await page.getByRole('row').count(), 2);
  await close(page);
});

test('a list that is longer than a page', async () => {
  for (let i = 0; i < 101; i++)
    await api('v1/batches', fleet.tokens.admin, { method: 'POST', body: JSON.stringify({ name: `paged-${i}`, tenant: 'demo' }) });
  const page = await open();
  await page.at('batches');
  await settled(page);
  const first = await page.getByRole('table').innerText();
  assert.equal(await page.getByRole('row').count(), 101);
  await page.getByRole('link', { name: 'Next page' }).click();
  await page.getByRole('link', { name: 'First page' }).waitFor();
  const names = async () => (await page.getByRole('table').innerText()).match(/paged-\d+|photos/g);
  await page.waitForFunction((text) => document.querySelector('table').innerText !== text, first);
  for (const name of await names()) assert.ok(!first.includes(name + '\t'), `${name} is on one page alone`);
  await page.getByRole('link', { name: 'First page' }).click();
  await page.getByRole('link', { name: 'First page' }).waitFor({ state: 'detached' });
  await close(page);
});

test('a job that is not there says so, with what to name when one asks for help', async () => {
  const page = await open();
  await page.at('jobs/01a00000-0000-7000-8000-000000000000');
  await page.getByRole('alert').getByText('Request').waitFor();
  await page.at('jobs?q=batch:nowhere');
  await page.getByRole('alert').waitFor();
  await page.at('nowhere');
  await page.getByRole('heading', { name: 'Nothing here' }).waitFor();
  await close(page);
});

test('the time of a first paint', async () => {
  const page = await open();
  await page.at('jobs');
  await page.getByRole('row').nth(3).waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  assert.ok(paint < 1000, `${paint} ms`);
  await close(page);
});
