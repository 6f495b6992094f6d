// SPDX-License-Identifier: Apache-2.0
// Addresses that are told what happens, and what they were told in vain.
import { all, type Delivery, enc, get, type Page, type Webhook } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { Command, Empty, Head, Part, State, useTitle } from '../parts/basic';
import { query, withQuery } from '../route';
import { many } from '../time';
import { One, nameOf } from '../parts/webhook';

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
          {(page) =>
            page.items.length === 0 ? (
              <Empty>
                No webhooks. <Command line="geres webhook create https://example.com/hook --type geres.job.failed" />
              </Empty>
            ) : (
              <table class="stack">
                <thead>
                  <tr>
                    <th scope="col">Webhook</th>
                    <th scope="col">Tenant</th>
                    <th scope="col">State</th>
                    <th scope="col">Told of</th>
                    <th scope="col" class="r">
                      Dead letters
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {page.items.map((one) => (
                    <tr key={one.id} class={one === chosen ? 'shown' : ''}>
                      <td>
                        <a href={withQuery({ webhook: one.id })} aria-current={one === chosen ? 'true' : undefined}>
                          {nameOf(one)}
                        </a>
                        {one.url && one.name && <small class="dim"> {one.url}</small>}
                      </td>
                      <td data-name="Tenant">{one.tenant}</td>
                      <td data-name="State">
                        <State of={one.enabled ? 'enabled' : 'disabled'} />
                        {one.reason && <small class="dim"> {one.reason}</small>}
                      </td>
                      <td data-name="Told of" class="dim">
                        {one.types?.join(', ') ?? 'everything'}
                      </td>
                      <td data-name="Dead letters" class="r">
                        <DeadCount webhook={one} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )
          }
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
