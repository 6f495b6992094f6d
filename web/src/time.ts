// SPDX-License-Identifier: Apache-2.0
// Numbers, sizes and times as people read them. Ages are counted here, so that no answer is needed to show them.
import { signal } from '@preact/signals';
import { zone } from './settings';

/** Moves once a second while the page is seen: whoever shows an age reads it. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

export const num = (n: number): string => n.toLocaleString('en');
export function short(n: number): string {
  return n < 1e4 ? num(Math.round(n)) : n < 1e6 ? (n / 1e3).toFixed(n < 1e5 ? 1 : 0) + ' k' : (n / 1e6).toFixed(2) + ' M';
}
export const many = (n: number, one: string, more = one + 's'): string => `${num(n)} ${n === 1 ? one : more}`;

export function size(bytes: number | undefined): string {
  if (bytes === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0,
    n = bytes;
  while (n >= 1024 && unit < 4) {
    n /= 1024;
    unit++;
  }
  return (unit && n < 10 ? n.toFixed(1) : Math.round(n)) + ' ' + units[unit];
}

export function span(ms: number): string {
  if (!(ms >= 0)) return '–';
  if (ms < 1e3) return Math.round(ms) + ' ms';
  if (ms < 6e4) return (ms / 1e3).toFixed(1) + ' s';
  const two = (big: number, a: string, small: number, b: string): string =>
    Math.floor(ms / big) + ' ' + a + (Math.floor(ms / small) % (big / small) ? ` ${Math.floor(ms / small) % (big / small)} ${b}` : '');
  return ms < 36e5 ? two(6e4, 'min', 1e3, 's') : ms < 864e5 ? two(36e5, 'h', 6e4, 'min') : two(864e5, 'd', 36e5, 'h');
}

const since = (text?: string): number => Date.parse(text ?? '');
export const between = (from?: string, to?: string): string => span(since(to) - since(from));

const rough = (s: number): string =>
  s < 60 ? s + ' s' : s < 3600 ? Math.floor(s / 60) + ' min' : s < 86400 ? Math.floor(s / 3600) + ' h' : Math.floor(s / 86400) + ' d';

export function ago(text: string | undefined, at = now.value): string {
  const s = Math.floor((at - since(text)) / 1e3);
  if (Number.isNaN(s)) return '–';
  if (s < -1) return 'in ' + span(-s * 1e3);
  return s < 1 ? 'now' : rough(s) + ' ago';
}

/** Of what is to happen: that it is late is no age of it. */
export function due(text: string | undefined, at = now.value): string {
  const s = Math.floor((at - since(text)) / 1e3);
  return s >= 1 ? 'due since ' + rough(s) : 'due ' + ago(text, at);
}

export function at(text: string | undefined): string {
  if (!text) return '–';
  const date = new Date(text),
    utc = zone.value === 'utc';
  return Number.isNaN(+date)
    ? text
    : date.toLocaleString('sv-SE', { timeZone: utc ? 'UTC' : undefined, hour12: false }) + (utc ? ' UTC' : '');
}

export const clock = (ms: number): string =>
  new Date(ms).toLocaleTimeString('en-GB', { timeZone: zone.value === 'utc' ? 'UTC' : undefined });

/** `90s`, `15m`, `2h30m`, `7d` in milliseconds; NaN for anything else. */
export function duration(text: string): number {
  const unit: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
  if (!/^(\d+(ms|s|m|h|d|w))+$/.test(text)) return NaN;
  return [...text.matchAll(/(\d+)(ms|s|m|h|d|w)/g)].reduce((sum, [, n, u]) => sum + +n * unit[u], 0);
}
