// SPDX-License-Identifier: Apache-2.0
// Batches as one bar each, and one batch with what can be done to it.
import { useEffect, useState } from 'preact/hooks';
import { type Batch, enc, get, type Page } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { Ago, Command, Head, Part, State, useTitle } from '../parts/basic';
import { go, path, query, withQuery } from '../route';
import { many } from '../time';
import { One, Bar, total, ended } from '../parts/batch';
import { type Column, Table } from '../parts/table';

export default function Batches() {
  const [, id, name] = path.value;
  return id ? <One key={id + name} id={name ?? id} /> : <List />;
}

const COLUMNS: Column<Batch>[] = [
  {
    name: 'Batch',
    of: (batch) => (
      <a href={'batches/' + enc(batch.id)}>
        <b>{batch.name}</b>
      </a>
    ),
  },
  { name: 'Tenant', of: (batch) => batch.tenant ?? 'all' },
  { name: 'State', of: (batch) => <State of={batch.paused ? 'paused' : batch.state} /> },
  { name: 'Jobs', of: (batch) => <Bar batch={batch} /> },
  { name: 'Done', right: true, of: (batch) => (total(batch) ? `${Math.floor((100 * ended(batch)) / total(batch))} %` : '–') },
  { name: 'Priority', right: true, of: (batch) => batch.priority },
  { name: 'Made', right: true, kind: 'dim', of: (batch) => <Ago of={batch.createdAt} /> },
];

function List() {
  useTitle('Batches');
  const state = query.value.get('state') ?? '',
    cursor = query.value.get('cursor') ?? '',
    wanted = query.value.get('name') ?? '';
  const [name, setName] = useState(wanted);
  useEffect(() => setName(wanted), [wanted]);
  const data = useData(
    `batches${state}/${cursor}/${wanted}${gap.value}`,
    (signal) =>
      get<Page<Batch>>(
        `v1/batches?limit=100${state && '&state=' + state}${cursor && '&cursor=' + enc(cursor)}${wanted && '&name=' + enc(wanted)}`,
        signal,
      ),
    3000,
  );
  return (
    <section>
      <Head title="Batches" note={data.value && many(data.value.items.length, 'batch', 'batches') + (data.value.next ? ', more' : '')} />
      <form
        class="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          go(withQuery({ name: name.trim(), cursor: undefined }));
        }}
      >
        <label>
          Name <input id="search" value={name} placeholder="its whole name" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          State{' '}
          <select value={state} onChange={(event) => go(withQuery({ state: event.currentTarget.value, cursor: undefined }))}>
            <option value="">any</option>
            <option>open</option>
            <option>closed</option>
            <option>cancelled</option>
          </select>
        </label>
        <button>Search</button>
      </form>
      <section class="card" aria-label="Batches">
        <Part data={data}>
          {(page) => (
            <Table
              rows={page.items}
              keyOf={(batch) => batch.id}
              columns={COLUMNS}
              page={{ cursor, next: page.next }}
              empty={
                state || wanted ? (
                  <>
                    None fits. <a href="batches">All batches</a>
                  </>
                ) : (
                  'No batches.'
                )
              }
            />
          )}
        </Part>
      </section>
      <Command line={`geres batch list`} />
    </section>
  );
}
