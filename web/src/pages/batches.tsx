// SPDX-License-Identifier: Apache-2.0
// Batches as one bar each, and one batch with what can be done to it.
import { useEffect, useState } from 'preact/hooks';
import { type Batch, enc, get, type Page } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { Ago, Command, Empty, Head, Part, State, useTitle } from '../parts/basic';
import { go, path, query, withQuery } from '../route';
import { many } from '../time';
import { One, Bar, total, ended } from '../parts/batch';

export default function Batches() {
  const [, id, name] = path.value;
  return id ? <One key={id + name} id={name ?? id} /> : <List />;
}

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
          {(page) =>
            page.items.length === 0 ? (
              <Empty>
                {state || wanted ? (
                  <>
                    None fits. <a href="batches">All batches</a>
                  </>
                ) : (
                  'No batches.'
                )}
              </Empty>
            ) : (
              <>
                <table class="stack">
                  <thead>
                    <tr>
                      <th scope="col">Batch</th>
                      <th scope="col">Tenant</th>
                      <th scope="col">State</th>
                      <th scope="col">Jobs</th>
                      <th scope="col" class="r">
                        Done
                      </th>
                      <th scope="col" class="r">
                        Priority
                      </th>
                      <th scope="col" class="r">
                        Made
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {page.items.map((batch) => (
                      <tr key={batch.id}>
                        <td>
                          <a href={'batches/' + enc(batch.id)}>
                            <b>{batch.name}</b>
                          </a>
                        </td>
                        <td data-name="Tenant">{batch.tenant ?? 'all'}</td>
                        <td data-name="State">
                          <State of={batch.paused ? 'paused' : batch.state} />
                        </td>
                        <td data-name="Jobs">
                          <Bar batch={batch} />
                        </td>
                        <td data-name="Done" class="r">
                          {total(batch) ? `${Math.floor((100 * ended(batch)) / total(batch))} %` : '–'}
                        </td>
                        <td data-name="Priority" class="r">
                          {batch.priority}
                        </td>
                        <td data-name="Made" class="r dim">
                          <Ago of={batch.createdAt} />
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
                <p>
                  {cursor && (
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
              </>
            )
          }
        </Part>
      </section>
      <Command line={`geres batch list`} />
    </section>
  );
}
