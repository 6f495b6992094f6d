// SPDX-License-Identifier: Apache-2.0
// What a person has chosen for this browser. Nothing secret is kept here.
import { effect, signal, type Signal } from '@preact/signals';

function kept<T extends string>(key: string, values: readonly T[]): Signal<T> {
  let first: string | null = null;
  try {
    first = localStorage.getItem('geres.' + key);
  } catch {
    /* a browser that keeps nothing */
  }
  const value = signal<T>(values.includes(first as T) ? (first as T) : values[0]);
  effect(() => {
    const now = value.value;
    try {
      localStorage.setItem('geres.' + key, now);
    } catch {
      /* likewise */
    }
  });
  return value;
}

export const theme = kept('theme', ['system', 'light', 'dark'] as const);
export const zone = kept('zone', ['local', 'utc'] as const);
export const letters = kept('letters', ['on', 'off'] as const);
/** The answers of the hub are taken as they come; off: the page stands still. */
export const live = signal(true);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
