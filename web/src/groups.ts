// SPDX-License-Identifier: Apache-2.0
// Dead letters that failed alike, put together by reason and first line of the error; what differs from job to job
// (numbers, ids) are holes in that line.
import type { Job } from './api';

export interface Group {
  key: string;
  reason: string;
  text: string;
  jobs: Job[];
  types: string[];
  tenants: string[];
  hosts: string[];
  first: string;
  last: string;
}

const HOLES: [RegExp, string][] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>'],
  [/\b0x[0-9a-f]+\b/gi, '<hex>'],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{4,}\b/gi, '<n>'],
  [/\d+(?:[.,:]\d+)*/g, '<n>'],
];

export function firstLine(error: string | undefined): string {
  let line = (error ?? '').split('\n', 1)[0].slice(0, 300);
  // "exit 1" stands for itself: which code it was tells one failure from another.
  const exit = /^(exit|signal) \d+/.exec(line)?.[0] ?? '';
  line = line.slice(exit.length);
  for (const [what, hole] of HOLES) line = line.replace(what, hole);
  return exit + line || 'no message';
}

export function groupsOf(jobs: Job[]): Group[] {
  const groups = new Map<string, Group>();
  for (const job of jobs) {
    const text = firstLine(job.error),
      key = `${job.reason ?? ''}\n${text}`,
      at = job.finishedAt ?? job.submittedAt ?? '';
    let group = groups.get(key);
    if (!group)
      groups.set(key, (group = { key, reason: job.reason ?? '', text, jobs: [], types: [], tenants: [], hosts: [], first: at, last: at }));
    group.jobs.push(job);
    for (const [list, value] of [
      [group.types, job.type],
      [group.tenants, job.tenant],
      [group.hosts, job.host],
    ] as const)
      if (value && !list.includes(value)) list.push(value);
    if (at < group.first) group.first = at;
    if (at > group.last) group.last = at;
  }
  return [...groups.values()].sort((a, b) => b.jobs.length - a.jobs.length || (a.last < b.last ? 1 : -1));
}

/** A name of a group for the address: short, and the same for the same failure. */
export function nameOf(key: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(key)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(36);
}

export const FIELDS = 'id,state,reason,error,type,tenant,host,name,batchName,finishedAt,submittedAt,version,attempt';

export const few = (names: string[]): string =>
  names.length > 2 ? `${names.slice(0, 2).join(', ')} +${names.length - 2}` : names.join(', ') || '–';
