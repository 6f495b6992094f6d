// SPDX-License-Identifier: Apache-2.0
// The search line of the list of jobs: `key:value` with the filters that the hub has an index for, and what they are in
// a query, in the body of a bulk verb and on the command line.
import { duration } from './time';

export interface Term {
  key: string;
  value: string;
  from: number;
  to: number;
}
export interface Found {
  terms: Term[];
  trouble?: string;
  hint?: string;
}

export const STATES = ['scheduled', 'blocked', 'ready', 'leased', 'running', 'finished', 'failed', 'cancelled'] as const;
export const REASONS = [
  'error',
  'aborted',
  'maxAttempts',
  'timeout',
  'queueTimeout',
  'package',
  'type',
  'dependency',
  'poison',
  'internal',
] as const;
export const KEYS: Record<string, string> = {
  state: 'where it stands',
  type: 'the job type',
  name: 'its whole name',
  tenant: 'whose',
  batch: 'name or id of the batch',
  host: 'of the newest attempt',
  reason: 'why it failed',
  id: 'first or last 4 digits or more',
  'tag.': 'a tag, as in tag.region:eu',
  since: 'submitted later: 1h, or a time',
  until: 'submitted earlier',
  open: 'without settled dead letters',
  order: 'asc: oldest first',
};
export const VALUES: Record<string, readonly string[]> = {
  state: STATES,
  reason: REASONS,
  since: ['15m', '1h', '24h', '7d'],
  until: ['15m', '1h', '24h', '7d'],
  open: ['true'],
  order: ['asc', 'desc'],
};

export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

export function nearest(word: string, among: readonly string[]): string | undefined {
  const sorted = [...among].sort((a, b) => distance(word, a) - distance(word, b));
  return sorted.length && distance(word, sorted[0]) <= Math.max(2, word.length / 3) ? sorted[0] : undefined;
}

const WORD = /(?:([A-Za-z][A-Za-z0-9]*(?:\.[^\s:"]+)?):)?("([^"]*)"?|[^\s"]+)/g;

export function parse(text: string): Found {
  const terms: Term[] = [];
  for (const match of text.matchAll(WORD)) {
    const value = match[3] ?? match[2];
    const bare = !match[1] ? (/^[0-9a-f-]{4,36}$/i.test(value) && /\d/.test(value) ? 'id' : 'name') : undefined;
    terms.push({ key: match[1] ?? bare!, value, from: match.index, to: match.index + match[0].length });
  }
  for (const term of terms) {
    const trouble = wrong(term);
    if (trouble) return { terms, ...trouble };
  }
  for (const [i, term] of terms.entries()) {
    if (terms.findIndex((t) => t.key === term.key) < i && term.key !== 'state')
      return { terms, trouble: `${term.key} is there twice.`, hint: 'One of each; state takes several, with commas.' };
  }
  return { terms };
}

function wrong(term: Term): { trouble: string; hint: string } | undefined {
  const { key, value } = term;
  if (!(key in KEYS) && !/^tag\../.test(key)) {
    const near = nearest(
      key,
      Object.keys(KEYS).filter((k) => k !== 'tag.'),
    );
    return {
      trouble: `There is no filter “${key}”.`,
      hint: near ? `Did you mean ${near}:${value}?` : `There are ${Object.keys(KEYS).join(', ').replace('tag.', 'tag.NAME')}.`,
    };
  }
  const values = VALUES[key];
  if (values && key !== 'since' && key !== 'until') {
    const bad = value.split(',').find((v) => !values.includes(v));
    if (bad !== undefined) {
      const near = nearest(bad, values);
      return { trouble: `There is no ${key} “${bad}”.`, hint: near ? `Did you mean ${key}:${near}?` : `There are ${values.join(', ')}.` };
    }
  }
  if ((key === 'since' || key === 'until') && Number.isNaN(moment(value)))
    return { trouble: `“${value}” is no time.`, hint: 'Write 15m, 2h or 7d (ago), or a time such as 2026-11-30T18:00:00Z.' };
  if (key === 'id' && value.replaceAll('-', '').length < 4)
    return { trouble: 'An id needs 4 digits or more.', hint: 'Its first or last ones.' };
  return undefined;
}

function moment(value: string): number {
  const back = duration(value);
  return Number.isNaN(back) ? (/^\d{4}-/.test(value) ? Date.parse(value) : NaN) : Date.now() - back;
}
const instant = (value: string): string => new Date(moment(value)).toISOString();

const merged = (terms: Term[]): Map<string, string> => {
  const map = new Map<string, string>();
  for (const { key, value } of terms) map.set(key, key === 'state' && map.has(key) ? map.get(key) + ',' + value : value);
  return map;
};

/** Parameters of GET v1/jobs. */
export function toQuery(terms: Term[]): URLSearchParams {
  const query = new URLSearchParams();
  for (const [key, value] of merged(terms)) {
    if (key === 'since') query.set('submittedAfter', instant(value));
    else if (key === 'until') query.set('submittedBefore', instant(value));
    else query.set(key, value);
  }
  return query;
}

export interface Filter {
  [key: string]: unknown;
  tags?: Record<string, string>;
  state?: string[];
  ids?: string[];
}

/** The body of a bulk verb, or what in the search it cannot be asked. */
export function toFilter(terms: Term[], verb: 'cancel' | 'redrive' | 'dismiss'): Filter | { cannot: string } {
  const filter: Filter = {};
  for (const [key, value] of merged(terms)) {
    if (key === 'id' || key === 'open' || (key === 'reason' && verb === 'cancel')) return { cannot: `${key}: is only for looking` };
    if (key === 'order') continue;
    if (key.startsWith('tag.')) (filter.tags ??= {})[key.slice(4)] = value;
    else if (key === 'state') filter.state = value.split(',');
    else if (key === 'since') filter.submittedAfter = instant(value);
    else if (key === 'until') filter.submittedBefore = instant(value);
    else filter[key] = value;
  }
  return filter;
}

/** A word for a shell: quoted where it needs it. */
export const word = (text: string): string => (/^[\w.,:/@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** The same search as flags of `geres job list`. */
export function toFlags(terms: Term[]): string {
  const flags: Record<string, string> = {
    since: '--since',
    until: '--before',
    tenant: '--tenant',
    batch: '--batch',
    state: '--state',
    type: '--type',
    name: '--name',
    host: '--host',
    reason: '--reason',
  };
  return [...merged(terms)]
    .map(([key, value]) => {
      if (key.startsWith('tag.')) return ` --tag ${word(key.slice(4) + '=' + value)}`;
      if (key === 'open') return value === 'true' ? ' --open' : '';
      if (key === 'order') return value === 'asc' ? ' --oldest' : '';
      return flags[key] ? ` ${flags[key]} ${word(value)}` : '';
    })
    .join('');
}

const quoted = (value: string): string => (/[\s"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value);
export const print = (terms: Pick<Term, 'key' | 'value'>[]): string => terms.map((t) => `${t.key}:${quoted(t.value)}`).join(' ');

const SAME: Record<string, string> = { submittedAfter: 'since', submittedBefore: 'until' };

/** The search line of an address: `q`, and besides it the hub's own filters by name. */
export function fromAddress(query: URLSearchParams): string {
  const more = [...query]
    .map(([key, value]) => ({ key: SAME[key] ?? key, value }))
    .filter(({ key, value }) => value && ((key in KEYS && key !== 'tag.') || key.startsWith('tag.')));
  return [query.get('q') ?? '', print(more)].filter(Boolean).join(' ').trim();
}
