// SPDX-License-Identifier: Apache-2.0
// What open pages cost those who work: jobs that are handed in and ended in a second, without pages and beside fifty, in
// turns of one run. Three pages are Chromium's; of the others there is what a page has open at the hub: its session and its
// socket, which watches the status, new jobs and the rows in view. The host is played here, by the host protocol.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const { chromium } = createRequire(path.join(process.cwd(), 'package.json'))('playwright-core');
const WebSocket = createRequire(path.join(process.cwd(), '../clients/typescript/package.json'))('ws');
const at = JSON.parse(process.env.GERES_PAGE);
const PAGES = 50, REAL = ['', 'jobs', 'dead'], TURNS = at.turns, SECONDS = at.seconds, LIST = 50, BACKLOG = 1000, SLOTS = 200;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

async function call(method, to, body, token = at.token, more = {}) {
  const answer = await fetch(new URL(to, at.url), {
    method, body: body && JSON.stringify(body), headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...more },
  });
  if (!answer.ok) throw new Error(`${method} ${to}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const done = { submitted: 0, ended: 0 };
let over = false;

async function submit() {
  const list = Array.from({ length: LIST }, () => ({ tenant: 'bench', type: 'Bench', name: 'bench' }));
  while (!over) {
    if (done.submitted - done.ended > BACKLOG) await pause(2);
    else {
      await call('POST', 'v1/jobs', list);
      done.submitted += LIST;
    }
  }
}

/** A host whose jobs end as soon as they come: one fetch is open always, one report under way. */
async function host(name) {
  const { id, secret } = await call('POST', 'v1/hosts', { name, slots: SLOTS, types: ['Bench'] }, at.token, { 'Geres-Protocol': '3' });
  let n = 0, seq = 0, ready = [];
  const fetched = [];
  const take = async () => {
    while (!over) {
      const fetchId = `f${++n}`, { leases } = await call('POST', `v1/hosts/${id}/fetch`, { fetchId, slots: SLOTS, wait: '1s' }, secret);
      fetched.push(fetchId);
      ready.push(...leases.map((one) => one.lease));
    }
  };
  const report = async () => {
    while (!over) {
      const finished = ready.map((lease) => ({ lease, outcome: 'finished', exit: { code: 0 } }));
      ready = [];
      if (!finished.length) {
        await pause(1);
        continue;
      }
      const said = await call('POST', `v1/hosts/${id}/report`, { seq: ++seq, fetched: fetched.at(-1), running: [], finished }, secret);
      if (said.accepted.length !== finished.length) throw new Error(`not accepted: ${JSON.stringify(said.refused)}`);
      done.ended += finished.length;
    }
  };
  await Promise.all([take(), report()]);
}

async function session() {
  const answer = await fetch(new URL('v1/session', at.url), {
    method: 'POST', body: JSON.stringify({ token: at.token }), headers: { 'content-type': 'application/json', origin: new URL(at.url).origin },
  });
  if (!answer.ok) throw new Error(`no session: ${answer.status} ${await answer.text()}`);
  return answer.headers.get('set-cookie').split(';')[0];
}

/** A page that shows the list of jobs, as the hub sees it. */
async function socket(ids) {
  const cookie = await session(), origin = new URL(at.url).origin;
  const one = new WebSocket(new URL('v1/live', at.url).href.replace(/^http/, 'ws'), { headers: { cookie, origin } });
  await new Promise((open, no) => one.once('open', open).once('error', no));
  one.on('message', () => told++);
  one.on('close', (code) => code === 1006 || over || (broken = `a page's socket was closed: ${code}`));
  one.send(JSON.stringify({ watch: { status: true, newJobs: true, jobs: ids } }));
  return one;
}
let told = 0, broken = '';

async function openPages(browser) {
  const context = await browser.newContext(), first = await context.newPage(), pages = [first];
  await first.goto(at.url);
  await first.getByRole('textbox', { name: 'Token' }).fill(at.token);
  await first.getByRole('button', { name: 'Log in' }).click();
  await first.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  for (const to of REAL.slice(1)) {
    pages.push(await context.newPage());
    await pages.at(-1).goto(at.url + to);
    await pages.at(-1).getByRole('heading', { level: 1 }).waitFor();
  }
  const { items } = await call('GET', 'v1/jobs?state=ready&limit=30&fields=id');
  const sockets = [];
  for (let i = REAL.length; i < PAGES; i++) sockets.push(await socket(items.map((job) => job.id)));
  return async () => {
    for (const one of sockets) one.terminate();
    await context.close();
  };
}

/** Seconds of processor time that the hub has taken. */
function processor() {
  const fields = readFileSync(`/proc/${at.pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measure() {
  const from = { ...done, at: performance.now(), cpu: processor() };
  await pause(SECONDS * 1000);
  const took = (performance.now() - from.at) / 1000, ended = done.ended - from.ended;
  return { submits: (done.submitted - from.submitted) / took, ends: ended / took, cpu: (1e6 * (processor() - from.cpu)) / ended };
}

const browser = await chromium.launch({ executablePath: at.chromium, args: ['--no-sandbox', '--disable-gpu'] });
const fail = (error) => {
  console.error(error);
  process.exit(1);
};
for (const work of [submit(), submit(), host('bench-a'), host('bench-b')]) work.catch(fail);
await pause(2000);
const without = [], beside = [];
for (let turn = 0; turn < TURNS; turn++) {
  without.push(await measure());
  const close = await openPages(browser);
  await pause(1000);
  told = 0;
  beside.push(await measure());
  if (broken || told < (PAGES - REAL.length) * SECONDS * 0.5) fail(new Error(broken || `the pages were told ${told} things: they were not live`));
  await close();
  await pause(1000);
}
over = true;
for (const [name, what, digits] of [['submits a second', 'submits', 0], ['ends a second', 'ends', 0], ['processor time of the hub a job, µs', 'cpu', 0]]) {
  const ratios = beside.map((one, i) => one[what] / without[i][what]);
  console.log(`${name}: ${middle(without.map((one) => one[what])).toFixed(digits)} without pages, ` +
    `${middle(beside.map((one) => one[what])).toFixed(digits)} beside ${PAGES}; ratio ${middle(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(', ')})`);
}
await browser.close();
process.exit();
