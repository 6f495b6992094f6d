// SPDX-License-Identifier: Apache-2.0
// Beside the states: searches that were kept under a name, and which columns the list has.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { go } from '../route';
import { columns as kept, deleteView, saveView, setColumns, type View, views } from '../views';
import { COLUMNS, columnsFor } from './job_columns';

/** The list with a search, and with columns of its own if there are any. */
export function listAt(search: string, columns?: string[]): string {
  const query = new URLSearchParams();
  if (search) query.set('q', search);
  if (columns) query.set('columns', columns.join());
  return 'jobs' + (query.size ? '?' + query : '');
}

interface Chosen {
  search: string;
  /** Of the address: those of a view, or of a link from somebody. */
  given?: string[];
  failed: boolean;
}

export function ListChoices(props: Chosen) {
  const { search, given } = props;
  const current = views.value.find((view) => listAt(view.search, view.columns) === listAt(search, given));
  return (
    <div class="choices">
      {views.value.length > 0 && (
        <div class="pills" role="group" aria-label="Saved views">
          {views.value.map((view) => (
            <a
              key={view.name}
              class="button"
              title={view.search}
              aria-current={view === current ? 'true' : undefined}
              href={listAt(view.search, view.columns)}
            >
              {view.name}
            </a>
          ))}
          {current && (
            <button type="button" class="small" onClick={() => deleteView(current.name)}>
              Delete view
            </button>
          )}
        </div>
      )}
      {!current && <Save {...props} />}
      <Columns {...props} />
    </div>
  );
}

/** What opens below its button, and closes when one goes on elsewhere. */
function Drop({ label, name, children }: { label: string; name: string; children: (close: () => void) => ComponentChildren }) {
  const [open, setOpen] = useState(false),
    box = useRef<HTMLDivElement>(null),
    button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (!open) return;
    const elsewhere = (event: Event): void => {
      if (!box.current!.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('pointerdown', elsewhere);
    addEventListener('focusin', elsewhere);
    box.current!.querySelector<HTMLElement>('input:not(:disabled)')?.focus();
    return () => {
      removeEventListener('pointerdown', elsewhere);
      removeEventListener('focusin', elsewhere);
    };
  }, [open]);
  const close = (): void => {
    setOpen(false);
    button.current!.focus();
  };
  return (
    <div
      class={'drop ' + name}
      ref={box}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return;
        event.preventDefault();
        event.stopPropagation();
        close();
      }}
    >
      <button type="button" ref={button} aria-expanded={open} onClick={() => setOpen(!open)}>
        {label}
      </button>
      {open && <div class="card dropped">{children(close)}</div>}
    </div>
  );
}

function Save({ search, given }: Chosen) {
  const [name, setName] = useState('');
  return (
    <Drop label="Save view…" name="save">
      {(close) => (
        <form
          aria-label="Save view"
          onSubmit={(event) => {
            event.preventDefault();
            const view: View = { name: name.trim(), search, columns: given ?? kept.value };
            if (!view.name) return;
            close();
            saveView(view);
            setName('');
            go(listAt(view.search, view.columns));
          }}
        >
          <label>
            Name <input required maxLength={40} value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <p class="dim">The search and the columns, in this browser alone.</p>
          <button class="primary">{views.value.some((view) => view.name === name.trim()) ? 'Replace' : 'Save'}</button>
        </form>
      )}
    </Drop>
  );
}

function Columns({ search, given, failed }: Chosen) {
  const chosen = given ?? kept.value,
    shown = columnsFor(chosen, failed).map((column) => column.name);
  const choose = (names: string[] | undefined): void => {
    setColumns(names);
    if (given) go(listAt(search), true);
  };
  return (
    <Drop label="Columns" name="columns">
      {() => (
        <fieldset>
          <legend class="hidden">Columns</legend>
          {COLUMNS.map(({ name, about }) => (
            <label key={name}>
              <input
                type="checkbox"
                disabled={name === 'Name'}
                checked={shown.includes(name)}
                onChange={(event) => choose(event.currentTarget.checked ? [...shown, name] : shown.filter((one) => one !== name))}
              />{' '}
              {name} {about && <span class="dim">{about}</span>}
            </label>
          ))}
          <button type="button" class="small" disabled={!chosen} onClick={() => choose(undefined)}>
            Reset
          </button>
        </fieldset>
      )}
    </Drop>
  );
}
