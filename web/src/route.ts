// SPDX-License-Identifier: Apache-2.0
// The address is the whole state of a view: where we are, and how to get elsewhere, relative to the page's base.
import { computed, signal } from '@preact/signals';

const base = new URL(document.baseURI).pathname;
const here = (): string => (location.pathname.startsWith(base) ? location.pathname.slice(base.length) + location.search : '');
export const where = signal(here());
export const path = computed(() => where.value.split('?')[0].split('/').filter(Boolean).map(safeDecode));
export const query = computed(() => new URLSearchParams(where.value.split('?')[1] ?? ''));

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function go(to: string, replace = false): void {
  if (to === where.value) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', base + to);
  const from = path.value.join('/');
  where.value = to;
  if (path.value.join('/') !== from) scrollTo(0, 0);
}

/** The present view with other parameters; an empty one is left out. */
export function withQuery(changes: Record<string, string | undefined>): string {
  const next = new URLSearchParams(query.value);
  for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
  const text = next.toString();
  return where.value.split('?')[0] + (text && '?' + text);
}

export function follow(): void {
  addEventListener('popstate', () => {
    where.value = here();
  });
  addEventListener('click', (event) => {
    const link = (event.target as Element).closest?.<HTMLAnchorElement>('a[href]');
    if (
      !link ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.button ||
      event.defaultPrevented ||
      link.target ||
      link.hasAttribute('download')
    )
      return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || !to.pathname.startsWith(base)) return;
    if (['v1/', 'auth/'].some((own) => to.pathname.startsWith(base + own))) return;
    event.preventDefault();
    go(to.pathname.slice(base.length) + to.search);
  });
}
