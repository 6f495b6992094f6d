// SPDX-License-Identifier: Apache-2.0
// Things in rows: every table of the page that is no grid of jobs. On a phone a row is a card whose values have their
// column's name before them. Keys go from row to row once the focus is in one.
import type { ComponentChildren } from 'preact';
import { lettersOn } from '../keys';
import { withQuery } from '../route';
import { Empty } from './basic';

export interface Column<T> {
  name: string;
  of: (row: T) => ComponentChildren;
  /** In place of the name at the head of the column. */
  heading?: string;
  /** Before the value on a phone; the name, but nothing in the first column. */
  label?: string;
  right?: boolean;
  /** `buttons`: what can be done, the name is for screen readers alone. `lane`: a drawing of what the others say. */
  kind?: 'dim' | 'text' | 'buttons' | 'lane';
}

export interface TableProps<T> {
  rows: T[];
  columns: (Column<T> | false)[];
  keyOf: (row: T) => string | number;
  /** What stands there when there are no rows. */
  empty?: ComponentChildren;
  /** The row that is shown in full elsewhere. */
  shown?: (row: T) => boolean;
  idOf?: (row: T) => string;
  class?: string;
  /** A list that the hub gives page by page: where this page began and where the next one begins, as in the address. */
  page?: { cursor: string; next?: string };
}

export function Table<T>({ rows, columns, keyOf, empty, shown, idOf, page, ...more }: TableProps<T>) {
  const kept = columns.filter((column) => column !== false);
  if (!rows.length && empty !== undefined) return <Empty>{empty}</Empty>;
  return (
    <>
      <table class={(more.class ? more.class + ' ' : '') + 'stack'} onKeyDown={move}>
        <thead>
          <tr>
            {kept.map((column) => (
              <th key={column.name} scope="col" class={classes(column.right && 'r', column.kind === 'lane' && 'lane')}>
                {column.kind === 'buttons' ? <span class="hidden">{column.name}</span> : (column.heading ?? column.name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} id={idOf?.(row)} class={classes(shown?.(row) && 'shown')} aria-current={shown?.(row) ? 'true' : undefined}>
              {kept.map((column, i) => (
                <td
                  key={column.name}
                  data-name={column.label ?? (i && column.kind !== 'buttons' && column.kind !== 'lane' ? column.name : undefined)}
                  class={classes(column.right && 'r', column.kind)}
                  aria-hidden={column.kind === 'lane' ? 'true' : undefined}
                >
                  {column.of(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {page && (page.cursor || page.next) && (
        <p>
          {page.cursor && (
            <a class="button" href={withQuery({ cursor: undefined })}>
              First page
            </a>
          )}{' '}
          {page.next && (
            <a class="button" href={withQuery({ cursor: page.next })}>
              Next page
            </a>
          )}
        </p>
      )}
    </>
  );
}

const classes = (...names: (string | false | undefined)[]): string | undefined => names.filter(Boolean).join(' ') || undefined;

/** To the same place of another row, or to its first where it has no such place. */
function move(event: KeyboardEvent): void {
  const target = event.target as Element,
    row = target.closest('tbody tr');
  if (!row || event.ctrlKey || event.metaKey || event.altKey || target.matches('input,select,textarea')) return;
  const all = [...row.parentElement!.children],
    key = event.key,
    here = all.indexOf(row);
  const step = { ArrowDown: 1, ArrowUp: -1 }[key] ?? (lettersOn() ? { j: 1, k: -1 }[key] : undefined);
  const to = step ? all[here + step] : key === 'Home' ? all[0] : key === 'End' ? all.at(-1) : undefined;
  if (!to) return;
  event.preventDefault();
  const places = (of: Element): HTMLElement[] => [...of.querySelectorAll<HTMLElement>('a[href],button:not(:disabled)')];
  const found = places(to);
  (found[places(row).indexOf(target as HTMLElement)] ?? found[0])?.focus();
}
