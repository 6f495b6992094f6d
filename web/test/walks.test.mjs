// SPDX-License-Identifier: Apache-2.0
// Four ways of somebody who has never seen GeRes, from the overview on, by roles and by words that can be read alone.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { api, close, control, end, fleet, open } from './page.mjs';

after(end);

test('why does a job wait?', async () => {
  const page = await open({ as: 'viewer' });
  const needs = page.getByRole('region', { name: 'Needs you' });
  await needs.getByText('longer than any other').waitFor();
  await needs.getByRole('listitem').filter({ hasText: 'longer than any other' }).getByRole('link').click();
  await page.getByRole('heading', { level: 1, name: 'needs-a-gpu' }).waitFor();
  const why = page.getByRole('region', { name: 'Why it waits' });
  await why
    .getByText(/lack.* label gpu=a100/)
    .first()
    .waitFor();
  await why.getByText(/^geres job why /).waitFor();
  await close(page);
});

test('which jobs fail, and with what?', async () => {
  const page = await open({ as: 'viewer' });
  const fails = page.getByRole('region', { name: 'What fails' });
  const row = fails.getByRole('row').filter({ hasText: 'not a JPEG file' });
  await row.getByText('5', { exact: true }).waitFor();
  await row.getByRole('link').click();
  const kind = page.getByRole('region', { name: '5 jobs that failed like this' });
  await kind.getByRole('link', { name: 'IMG_2' }).click();
  await page.getByRole('heading', { level: 1, name: 'IMG_2' }).waitFor();
  await page.getByRole('region', { name: 'Why it failed' }).getByText('convert: not a JPEG file').waitFor();
  await page.getByRole('log').getByText('starts with 0x0002').waitFor();
  await close(page);
});

test('which host is sick, and what is wrong with it?', async () => {
  await control('sicken');
  const page = await open({ as: 'operator' });
  await page.getByRole('region', { name: 'Needs you' }).getByRole('listitem').filter({ hasText: 'Host sick is' }).getByRole('link').click();
  await page.getByRole('heading', { level: 1, name: 'Hosts' }).waitFor();
  const host = page.getByRole('article', { name: /^sick/ });
  await host
    .getByText(/resting|unfit/)
    .first()
    .waitFor();
  await host.getByText('No such file or directory').waitFor();
  await host.getByRole('button', { name: 'Drain…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Drain host sick?' });
  await dialog.getByText('geres hosts drain sick').waitFor();
  await dialog.getByRole('button', { name: 'Drain', exact: true }).click();
  await host.getByRole('button', { name: 'Resume…' }).waitFor();
  assert.equal((await api('v1/hosts/sick')).mode, 'drain');
  await close(page);
});

test('what was mended runs again', async () => {
  await control('mend');
  const page = await open({ as: 'submitter' });
  await page
    .getByRole('region', { name: 'What fails' })
    .getByRole('row')
    .filter({ hasText: 'price list is missing' })
    .getByRole('link')
    .click();
  const kind = page.getByRole('region', { name: '3 jobs that failed like this' });
  await kind.getByRole('button', { name: 'Redrive these 3…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText(/^geres job redrive /).waitFor();
  await dialog.getByRole('button', { name: 'Redrive 3' }).click();
  await dialog.getByText('Done: 3 jobs.').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  for (const id of fleet.jobs.mendable) {
    const old = await api('v1/jobs/' + id),
      again = await api(`v1/jobs/${old.redrivenAs}?wait=20s`);
    assert.equal(again.state, 'finished');
  }
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Dead letters' }).waitFor();
  await page.getByRole('table').waitFor();
  assert.doesNotMatch(await page.locator('main').innerText(), /price list is missing/);
  await close(page);
});

test('a job again with changes', async () => {
  const page = await open({ as: 'submitter' });
  await page.at('jobs/' + fleet.jobs.tries);
  await page.getByRole('button', { name: 'Redrive with changes…' }).click();
  const form = page.getByRole('form', { name: 'Redrive with changes' });
  await form.getByRole('textbox', { name: 'Parameters' }).fill('{"script": ');
  await form.getByText('This is no JSON').waitFor();
  await form.getByRole('textbox', { name: 'Parameters' }).fill('{"script": "echo better"}');
  await form.getByRole('button', { name: 'Run it' }).click();
  await form.getByRole('link').click();
  await page.getByRole('list', { name: 'From submit to end' }).getByText('finished').waitFor();
  await page.getByRole('log').getByText('better').waitFor();
  await close(page);
});
