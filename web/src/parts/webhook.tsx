// SPDX-License-Identifier: Apache-2.0
// One webhook: what it was told in vain, and what can be done about it.
import type { ComponentChildren } from 'preact';
import { type Delivery, enc, get, type Page, send, type Webhook } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { ask } from './ask';
import { Ago, Command, Copy, Pairs, Part, Tags } from './basic';
import { type Column, Table } from './table';
import { query, withQuery } from '../route';
import { word } from '../search';
import { can } from '../session';

interface Tested {
  delivered: boolean;
  status?: number;
  error?: string;
  took: string;
}

export const nameOf = (one: Webhook): string => one.name ?? one.url ?? (one.forJobs ? 'jobs’ own' : one.id);
const refer = (one: Webhook): string => word(one.name ?? one.id);

const DELIVERIES: Column<Delivery>[] = [
  {
    name: 'Event',
    of: (one) => (
      <>
        {one.type?.replace(/^geres\./, '') ?? one.id}
        {one.subject && <small class="dim"> {one.subject}</small>}
      </>
    ),
  },
  {
    name: 'Answer',
    of: (one) => (
      <>
        {one.status ?? ''} {one.error}
      </>
    ),
  },
  { name: 'Tries', right: true, of: (one) => one.attempts },
  { name: 'Last', right: true, kind: 'dim', of: (one) => <Ago of={one.triedAt ?? one.at} /> },
];

export function One({ webhook, again }: { webhook: Webhook; again: () => void }) {
  const kind = query.value.get('kind') === 'pending' ? 'pending' : 'dead';
  const data = useData(
      `deliveries${webhook.id}${kind}${gap.value}`,
      (signal) => get<Page<Delivery>>(`v1/webhooks/${enc(webhook.id)}/deliveries?state=${kind}&limit=100`, signal),
      5000,
    ),
    base = `v1/webhooks/${enc(webhook.id)}`;
  const act = (title: string, verb: string, command: string, text: string, does: () => Promise<ComponentChildren>, danger = false): void =>
    ask({
      title,
      verb,
      command: `geres webhook ${command}`,
      text: <p>{text}</p>,
      act: does,
      done: () => {
        again();
        data.again();
      },
      danger,
    });
  const test = async (): Promise<ComponentChildren> => {
    const said = await send<Tested>('POST', base + '/test');
    return (
      <p role="status">
        {said.delivered ? 'It took the call' : `It did not take the call: ${said.error ?? ''}`}
        {said.status !== undefined && `, answered ${said.status}`}, after {said.took}.
      </p>
    );
  };
  const rotate = async (): Promise<ComponentChildren> => {
    const said = await send<Webhook & { secret?: string }>('PATCH', base, { secret: null });
    return (
      <>
        <p role="status">The new secret. It is not shown again.</p>
        <p class="command">
          <code>{said.secret}</code>
          <Copy text={said.secret ?? ''} />
        </p>
      </>
    );
  };
  const dead = data.value?.items.filter((one) => one.state === 'dead').length ?? 0;
  return (
    <section class="card" aria-labelledby="hook">
      <h2 id="hook">{nameOf(webhook)}</h2>
      {can('submitter') && (
        <div class="actions" role="group" aria-label="Actions">
          {webhook.url && (
            <button
              type="button"
              onClick={() => act('Call the webhook now?', 'Test', `test ${refer(webhook)}`, 'It is sent a ping.', test)}
            >
              Test…
            </button>
          )}
          {dead > 0 && (
            <button
              type="button"
              class="primary"
              onClick={() =>
                act(
                  `Tell its ${dead}${data.value?.next ? ' or more' : ''} dead letters again?`,
                  'Replay',
                  `replay ${refer(webhook)}`,
                  'Each is sent again, as it was.',
                  async () => {
                    const said = await send<{ replayed: number }>('POST', base + '/replay', {});
                    return <p role="status">Told again: {said.replayed}.</p>;
                  },
                )
              }
            >
              Replay dead letters…
            </button>
          )}
          <button
            type="button"
            onClick={() => act('Draw a new secret?', 'Rotate', `rotate ${refer(webhook)}`, 'The one before stays good for a day.', rotate)}
          >
            Rotate the secret…
          </button>
          {webhook.enabled ? (
            <button
              type="button"
              onClick={() =>
                act(
                  'Call it no more for now?',
                  'Disable',
                  `disable ${refer(webhook)}`,
                  'It goes on from there when it is enabled again.',
                  async () => {
                    await send('PATCH', base, { enabled: false });
                    return undefined;
                  },
                )
              }
            >
              Disable…
            </button>
          ) : (
            <button
              type="button"
              onClick={() =>
                act('Call it again?', 'Enable', `enable ${refer(webhook)}`, 'It goes on from where it was.', async () => {
                  await send('PATCH', base, { enabled: true });
                  return undefined;
                })
              }
            >
              Enable…
            </button>
          )}
          <button
            type="button"
            class="danger"
            onClick={() =>
              act(
                'Delete the webhook?',
                'Delete',
                `delete ${refer(webhook)}`,
                'What it was not told yet it will not be told.',
                async () => {
                  await send('DELETE', base);
                  return undefined;
                },
                true,
              )
            }
          >
            Delete…
          </button>
        </div>
      )}
      <Pairs
        of={[
          ['Address', webhook.url],
          ['Tenant', webhook.tenant],
          ['Events', webhook.types?.join(', ') ?? 'all'],
          ['Job types', webhook.jobTypes?.join(', ')],
          ['Batches', webhook.batches?.join(', ')],
          ['Tags', webhook.tags && <Tags of={webhook.tags} />],
          ['Made', <Ago of={webhook.createdAt} />],
          ['By', webhook.createdBy],
        ]}
      />
      <h3>What it was told in vain</h3>
      <div class="pills" role="group" aria-label="Which">
        <a class="button" aria-current={kind === 'dead' ? 'true' : undefined} href={withQuery({ kind: undefined })}>
          Dead
        </a>{' '}
        <a class="button" aria-current={kind === 'pending' ? 'true' : undefined} href={withQuery({ kind: 'pending' })}>
          To be tried again
        </a>
      </div>
      <Part data={data}>
        {(page) => (
          <Table
            rows={page.items}
            keyOf={(one) => one.id}
            columns={DELIVERIES}
            empty={kind === 'dead' ? 'No dead letters.' : 'Nothing waits for another try.'}
          />
        )}
      </Part>
      <Command line={`geres webhook deliveries ${refer(webhook)}`} />
    </section>
  );
}
