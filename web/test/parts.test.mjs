// SPDX-License-Identifier: Apache-2.0
// What needs no browser: the search line, durations, groups of failures; and how large the page is.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { runnerImport } from 'vite';

// The page's clock must not keep the test alive.
const { setInterval } = globalThis;
globalThis.setInterval = (...words) => setInterval(...words).unref();
globalThis.document = { hidden: true, documentElement: { dataset: {} } };
const load = async (name) => (await runnerImport(new URL(`../src/${name}.ts`, import.meta.url).pathname, { logLevel: 'silent' })).module;
const { distance, fromAddress, nearest, parse, print, toFilter, toFlags, toQuery } = await load('search');
const { ago, due, duration, size, span } = await load('time');
const { firstLine, groupsOf } = await load('groups');

test('search: words, quotes, tags, bare words', () => {
  const terms = parse('state:failed,ready type:Train name:"a b" tag.region:eu IMG_7 ').terms.map((t) => [t.key, t.value]);
  assert.deepEqual(terms, [
    ['state', 'failed,ready'],
    ['type', 'Train'],
    ['name', 'a b'],
    ['tag.region', 'eu'],
    ['name', 'IMG_7'],
  ]);
  assert.equal(parse('77d0b7').terms[0].key, 'id');
  assert.equal(parse('cafe').terms[0].key, 'name');
  assert.equal(print(parse('name:"a b"').terms), 'name:"a b"');
});

test('search: what is wrong is named, with the nearest', () => {
  assert.match(parse('typ:x').hint, /type:x/);
  assert.match(parse('state:runing').hint, /state:running/);
  assert.match(parse('reason:timeot').hint, /reason:timeout/);
  assert.match(parse('since:yesterdayish').trouble, /no time/);
  assert.match(parse('id:12').trouble, /4 digits/);
  assert.match(parse('type:a type:b').trouble, /twice/);
  assert.equal(parse('state:failed state:ready').trouble, undefined);
  assert.match(parse('zzzzzz:x').hint, /There are/);
  assert.equal(distance('kitten', 'sitting'), 3);
  assert.equal(nearest('tennant', ['tenant', 'type']), 'tenant');
});

test('search: as a query, as a filter, as flags', () => {
  const { terms } = parse('state:failed state:ready since:1h tag.k:v open:true');
  const query = toQuery(terms);
  assert.equal(query.get('state'), 'failed,ready');
  assert.ok(Math.abs(Date.parse(query.get('submittedAfter')) - (Date.now() - 36e5)) < 5000);
  assert.equal(query.get('tag.k'), 'v');
  assert.ok('cannot' in toFilter(terms, 'redrive'), 'open is only for looking');
  assert.deepEqual(toFilter(parse('state:failed tag.k:v batch:b').terms, 'cancel'), { state: ['failed'], tags: { k: 'v' }, batch: 'b' });
  assert.ok('cannot' in toFilter(parse('reason:error').terms, 'cancel'));
  assert.equal(
    toFlags(parse('state:failed name:"it\'s" tag.k:v since:2h order:asc').terms),
    " --state failed --name 'it'\\''s' --tag k=v --since 2h --oldest",
  );
  assert.equal(fromAddress(new URLSearchParams('q=type:A&state=failed&group=x')), 'type:A state:failed');
  assert.equal(fromAddress(new URLSearchParams('submittedAfter=2026-01-01T00:00:00Z&limit=5')), 'since:2026-01-01T00:00:00Z');
});

test('durations, spans and sizes', () => {
  assert.equal(duration('1h30m'), 54e5);
  assert.ok(Number.isNaN(duration('1x')));
  assert.equal(span(61e3), '1 min 1 s');
  assert.equal(span(36e5), '1 h');
  assert.equal(span(NaN), '–');
  assert.equal(size(1536), '1.5 KiB');
});

test('what is to happen, and what should have', () => {
  const at = Date.parse('2026-01-01T12:00:00Z'),
    later = (s) => new Date(at + s * 1e3).toISOString();
  assert.equal(ago(later(-36), at), '36 s ago');
  assert.equal(due(later(-36), at), 'due since 36 s');
  assert.equal(due(later(-219), at), 'due since 3 min');
  assert.equal(due(later(219), at), 'due in 3 min 39 s');
  assert.equal(due(later(0), at), 'due now');
  assert.equal(due('', at), 'due –');
});

test('failures that differ in numbers and ids alone are one kind', () => {
  const line = (text) => firstLine(text);
  assert.equal(line('connection to 10.0.0.7:5432 refused'), line('connection to 10.0.0.19:5433 refused'));
  assert.equal(line('no such job-1ad9 here\nmore'), line('no such job-77ff0 here'));
  assert.equal(line('lost 0190c8f2-7d1a-7000-8000-0123456789ab'), line('lost 0190c8f2-7d1a-7000-8000-fedcba987654'));
  assert.notEqual(line('exit 1: no'), line('exit 2: no'));
  for (const text of ['a 1 b', 'x 0xff', 'v1.2.3', '<n>', '']) assert.equal(line(line(text)), line(text), 'twice is as once');
  const job = (id, error, reason = 'error') => ({
    id,
    error,
    reason,
    state: 'failed',
    version: 1,
    finishedAt: `2026-01-01T00:00:0${id}Z`,
    host: 'h' + (id % 2),
  });
  const groups = groupsOf([job(1, 'a 1'), job(2, 'a 2'), job(3, 'a 3', 'timeout')]);
  assert.deepEqual(
    groups.map((group) => [group.text, group.jobs.length, group.hosts.length]),
    [
      ['a <n>', 2, 2],
      ['a <n>', 1, 1],
    ],
  );
});

test('budget: 90 KB of JavaScript in all, 60 KB for the first page, as gzip', () => {
  const dist = JSON.parse(process.env.GERES_PAGE).dist,
    assets = path.join(dist, 'assets');
  const gzip = (file) => zlib.gzipSync(fs.readFileSync(file), { level: 9 }).length;
  const scripts = fs.readdirSync(assets).filter((name) => name.endsWith('.js')),
    sizes = new Map(scripts.map((name) => [name, gzip(path.join(assets, name))]));
  const total = [...sizes.values()].reduce((a, b) => a + b, 0);
  // The first page: what index.html loads and, from there, all that the overview imports.
  const wanted = new Set(),
    follow = (name) => {
      if (wanted.has(name)) return;
      wanted.add(name);
      for (const [, other] of fs.readFileSync(path.join(assets, name), 'utf8').matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g))
        follow(other);
    };
  follow(/assets\/(index-[^"]+\.js)/.exec(fs.readFileSync(path.join(dist, 'index.html'), 'utf8'))[1]);
  for (const name of scripts) if (/^(overview|live\.worker)-/.test(name)) follow(name);
  const first = [...wanted].reduce((sum, name) => sum + sizes.get(name), 0);
  console.log(`JavaScript: ${total} bytes as gzip in all, ${first} for the first page`);
  assert.ok(total <= 90e3, `${total} in all`);
  assert.ok(first <= 60e3, `${first} for the first page`);
  const html = fs.readFileSync(path.join(dist, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /<script(?![^>]* src=)|<style|style=|onload=/, 'nothing inline');
  assert.match(html, /<base href="\/">/);
});
