// SPDX-License-Identifier: Apache-2.0
// Addresses that are told what happens, and what they were told in vain.
import { all, type Delivery, enc, get, type Page, type Webhook } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { Command, Head, Part, State, useTitle } from '../parts/basic';
import { type Column, Table } from '../parts/table';
import { query, withQuery } from '../route';
import { many } from '../time';
import { One, nameOf } from '../parts/webhook';

const columns = (chosen?: Webhook): Column<Webhook>[] => [
  {
    name: 'Webhook',
    of: (one) => (
      <>
        <a href={withQuery({ webhook: one.id })} aria-current={one === chosen ? 'true' : undefined}>
          {nameOf(one)}
        </a>
        {one.url && one.name && <small class="dim"> {one.url}</small>}
      </>
    ),
  },
  { name: 'Tenant', of: (one) => one.tenant },
  {
    name: 'State',
    of: (one) => (
      <>
        <State of={one.enabled ? 'enabled' : 'disabled'} />
        {one.reason && <small class="dim"> {one.reason}</small>}
      </>
    ),
  },
  { name: 'Told of', kind: 'dim', of: (one) => one.types?.join(', ') ?? 'everything' },
  { name: 'Dead letters', right: true, of: (one) => <DeadCount webhook={one} /> },
];

export default function Webhooks() {
  useTitle('Webhooks');
  const data = useData('webhooks' + gap.value, (signal) => all<Webhook>('v1/webhooks', 2000, signal), 10e3),
    id = query.value.get('webhook');
  const chosen = data.value?.items.find((one) => one.id === id);
  return (
    <section>
      <Head title="Webhooks" note={data.value && many(data.value.items.length, 'webhook')} />
      <section class="card" aria-label="Webhooks">
        <Part data={data}>
          {(page) => (
            <Table
              rows={page.items}
              keyOf={(one) => one.id}
              columns={columns(chosen)}
              shown={(one) => one === chosen}
              empty={
                <>
                  No webhooks. <Command line="geres webhook create https://example.com/hook --type geres.job.failed" />
                </>
              }
            />
          )}
        </Part>
      </section>
      {chosen && <One key={chosen.id} webhook={chosen} again={data.again} />}
      <Command line="geres webhook list" />
    </section>
  );
}

function DeadCount({ webhook }: { webhook: Webhook }) {
  const data = useData(
    'dead' + webhook.id,
    (signal) => get<Page<Delivery>>(`v1/webhooks/${enc(webhook.id)}/deliveries?limit=100`, signal),
    30e3,
  );
  return data.problem ? (
    <span title={data.problem.detail}>not known</span>
  ) : data.value ? (
    <b class={data.value.items.length ? 'is-failed' : ''}>
      {data.value.items.length}
      {data.value.next ? ' or more' : ''}
    </b>
  ) : (
    <>…</>
  );
}
