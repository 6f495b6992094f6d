// SPDX-License-Identifier: Apache-2.0
// What changes while one looks. Parts of the page say what they watch; nothing is watched while the tab is hidden or the
// page paused, and after a gap whatever was shown is to be read again (`gap` moves).
import { effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, type Job, type Status } from './api';
import type { LogPlace, News, Watch } from './exchange';
import { caller, expired } from './session';
import { live } from './settings';

export const status = signal<Status | undefined>(undefined);
export const connected = signal<boolean | undefined>(undefined);
export const newJobs = signal(0);
export const gap = signal(0);
export const logSize = signal<(LogPlace & { size: number; ended: boolean }) | undefined>(undefined);
const jobListeners = new Set<(job: Job) => void>();

const wants = new Map<object, Watch>();
let post: ((watch: Watch, anew: boolean) => void) | undefined;
let said = '',
  anew = false,
  queued = false;

function take(news: News): void {
  if (news.over) return expired();
  if (news.connected !== undefined) connected.value = news.connected;
  // A socket that was not let in does not say why; a call does, and a session that is over shows then.
  if (news.connected === false && !document.hidden) get('v1/info').catch(() => {});
  if (!live.value) return;
  if (news.status) status.value = news.status;
  if (news.newJobs !== undefined) newJobs.value = news.newJobs;
  if (news.log) logSize.value = news.log;
  if (news.job) for (const listener of jobListeners) listener(news.job);
  if (news.gap) gap.value++;
}

async function connect(): Promise<(watch: Watch, anew: boolean) => void> {
  const url = new URL('v1/live', document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  if ('SharedWorker' in window) {
    const worker = new SharedWorker(new URL('./live.worker.ts', import.meta.url), { type: 'module', name: 'geres live' });
    worker.port.onmessage = ({ data }) => take(data as News);
    addEventListener('pagehide', () => worker.port.postMessage({ bye: true }));
    return (watch, fresh) => worker.port.postMessage({ url: url.href, watch, anew: fresh });
  }
  const { Exchange } = await import('./exchange');
  const exchange = new Exchange(url.href),
    tab = exchange.join(take);
  return (watch, fresh) => exchange.set(tab, watch, fresh);
}

function wanted(): Watch {
  if (document.hidden || !live.value || !caller.value) return {};
  const all = [...wants.values()],
    watch: Watch = {};
  if (all.some((w) => w.status)) watch.status = true;
  if (all.some((w) => w.newJobs)) watch.newJobs = true;
  const jobs = [...new Set(all.flatMap((w) => w.jobs ?? []))].slice(0, 200);
  if (jobs.length) watch.jobs = jobs;
  const log = all.find((w) => w.log)?.log;
  if (log) watch.log = log;
  return watch;
}

async function flush(): Promise<void> {
  queued = false;
  const watch = wanted(),
    text = JSON.stringify(watch);
  if (text === said && !anew) return;
  if (text === '{}' && !post) return;
  said = text;
  const fresh = anew;
  anew = false;
  post ??= await connect();
  post(watch, fresh);
}

function changed(): void {
  if (queued) return;
  queued = true;
  setTimeout(() => void flush(), 50);
}

/** Watches for as long as the part of the page that calls is there. */
export function useWatch(watch: Watch, take?: (job: Job) => void): void {
  const key = JSON.stringify(watch);
  useEffect(() => {
    const mine = {};
    wants.set(mine, watch);
    changed();
    return () => {
      wants.delete(mine);
      changed();
    };
  }, [key]);
  useEffect(() => {
    if (!take) return;
    jobListeners.add(take);
    return () => {
      jobListeners.delete(take);
    };
  }, [take]);
}

/** The list has been read again: new jobs are counted from here. */
export function countAnew(): void {
  newJobs.value = 0;
  anew = true;
  changed();
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) gap.value++;
  changed();
});
addEventListener('pageshow', (event) => {
  if (event.persisted) {
    said = '';
    changed();
  }
});
effect(() => {
  if (live.value && caller.value) gap.value = gap.peek() + 1;
  changed();
});
// The worker forgets tabs of which it hears nothing.
setInterval(() => {
  if (said !== '' && said !== '{}') post?.(wanted(), false);
}, 30e3);
