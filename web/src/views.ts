// SPDX-License-Identifier: Apache-2.0
// How a person likes the list of jobs: which columns, and searches under a name. Kept in this browser and nowhere else.
import { signal, type Signal } from '@preact/signals';

export interface View {
  name: string;
  search: string;
  /** Undefined: those of the list as it comes. */
  columns?: string[];
}
const MOST = 30;

const isText = (value: unknown): value is string => typeof value === 'string';
const texts = (value: unknown): string[] | undefined => (Array.isArray(value) && value.length && value.every(isText) ? value : undefined);
function viewsOf(value: unknown): View[] {
  const given = (Array.isArray(value) ? value : []) as Partial<View>[];
  return given
    .filter((one) => isText(one?.name) && isText(one.search))
    .slice(0, MOST)
    .map((one) => ({ name: one.name!, search: one.search!, columns: texts(one.columns) }));
}

/** What is kept may be of another version of the page, or of somebody's making: `read` takes of it what it knows. */
function kept<T>(key: string, read: (value: unknown) => T): [Signal<T>, (next: (now: T) => T) => void] {
  const name = 'geres.' + key,
    load = (): T => {
      try {
        return read(JSON.parse(localStorage.getItem(name) ?? 'null'));
      } catch {
        return read(null);
      }
    };
  const value = signal(load());
  addEventListener('storage', (event) => {
    if (event.key === name || event.key === null) value.value = load();
  });
  return [
    value,
    (next) => {
      try {
        // Another tab may have kept something since.
        value.value = next(load());
        localStorage.setItem(name, JSON.stringify(value.value ?? null));
      } catch {
        /* a browser that keeps nothing: until the page is closed */
      }
    },
  ];
}

const [columns, changeColumns] = kept('columns', texts);
const [views, changeViews] = kept('views', viewsOf);
export { columns, views };

export const setColumns = (names: string[] | undefined): void => changeColumns(() => names);
/** A view of the same name is replaced. The newest is kept when there are too many. */
export const saveView = (view: View): void =>
  changeViews((now) => [...now.filter((one) => one.name !== view.name), view].sort((a, b) => a.name.localeCompare(b.name)).slice(0, MOST));
export const deleteView = (name: string): void => changeViews((now) => now.filter((one) => one.name !== name));
