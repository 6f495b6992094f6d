// SPDX-License-Identifier: Apache-2.0
// One batch: its bar, how fast it goes, and what can be done to it.
import { useRef } from 'preact/hooks';
import { askAll } from '../actions';
import { type Batch, enc, get, send } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { ask } from './ask';
import { Ago, Command, Head, Pairs, Part, State, useTitle } from './basic';
import { parse, print, word } from '../search';
import { can } from '../session';
import { many, num, span } from '../time';

export const total = (batch: Batch): number => Object.values(batch.counts).reduce((a, b) => a + b, 0);
export const ended = (batch: Batch): number => batch.counts.finished + batch.counts.failed + batch.counts.cancelled;

export function Bar({ batch }: { batch: Batch }) {
  const c = batch.counts,
    parts: [string, number][] = [
      ['finished', c.finished],
      ['failed', c.failed],
      ['running', c.running + c.leased],
      ['waiting', c.ready + c.scheduled + c.blocked],
      ['cancelled', c.cancelled],
    ];
  const said =
    parts
      .filter(([, n]) => n)
      .map(([name, n]) => `${num(n)} ${name}`)
      .join(', ') || 'empty';
  return (
    <>
      <span class="bar" role="img" aria-label={said}>
        {parts.map(([name, n]) => n > 0 && <i key={name} class={name} style={{ flex: n }} />)}
      </span>
      <small class="dim">{said}</small>
    </>
  );
}

export function One({ id }: { id: string }) {
  const data = useData('batch' + id + gap.value, (signal) => get<Batch>('v1/batches/' + enc(id), signal), 2000),
    batch = data.value;
  useTitle(batch?.name ?? 'Batch');
  return (
    <section>
      <Head title={batch?.name ?? 'Batch'} note={batch && <State of={batch.paused ? 'paused' : batch.state} />} />
      <Part data={data}>
        {(one) => (
          <>
            {can('submitter') && one.id !== 'batch0' && <Actions batch={one} again={data.again} />}
            <section class="card" aria-label="Progress">
              <Bar batch={one} />
              <Speed batch={one} />
              <p>
                <a href={'jobs?q=' + enc('batch:' + one.id)}>Its jobs</a>
                {one.counts.failed > 0 && (
                  <>
                    {' '}
                    · <a href={'dead?batch=' + enc(one.id)}>Its dead letters</a>
                  </>
                )}
              </p>
            </section>
            <section class="card" aria-labelledby="about">
              <h2 id="about">About</h2>
              <Pairs
                of={[
                  ['Id', <code>{one.id}</code>],
                  ['Tenant', one.tenant ?? 'shared by all'],
                  ['Priority', `${one.priority}${one.overTenants ? ', over all tenants' : ''}`],
                  ['At a time', one.maxRunning ? num(one.maxRunning) : 'no limit'],
                  ['Dedicated', one.dedicated ? 'a host that runs it runs nothing else' : ''],
                  ['Made', <Ago of={one.createdAt} />],
                  ['By', one.createdBy],
                ]}
              />
              <Command line={'geres watch --batch ' + word(one.name)} />
            </section>
          </>
        )}
      </Part>
    </section>
  );
}

/** Ends a second, as seen since the page was opened. */
function Speed({ batch }: { batch: Batch }) {
  const first = useRef<{ at: number; n: number }>({ at: Date.now(), n: ended(batch) });
  const seconds = (Date.now() - first.current.at) / 1e3,
    rate = seconds > 5 ? (ended(batch) - first.current.n) / seconds : 0,
    left = total(batch) - ended(batch);
  return left > 0 && rate > 0 ? (
    <p class="dim" role="status">
      {rate < 10 ? rate.toFixed(1) : num(Math.round(rate))} a second, {span((left / rate) * 1e3)} left at this rate
    </p>
  ) : null;
}

function Actions({ batch, again }: { batch: Batch; again: () => void }) {
  const act = (verb: string, title: string, text: string, danger = false): void =>
    ask({
      title,
      verb: verb[0].toUpperCase() + verb.slice(1),
      danger,
      command: `geres batch ${verb} ${word(batch.name)}`,
      done: again,
      text: <p>{text}</p>,
      act: async () => {
        await send('POST', `v1/batches/${enc(batch.id)}/${verb}`);
        return undefined;
      },
    });
  const left = total(batch) - ended(batch);
  return (
    <div class="actions" role="group" aria-label="Actions">
      {batch.state !== 'cancelled' &&
        (batch.paused ? (
          <button type="button" onClick={() => act('resume', `Resume batch ${batch.name}?`, 'Its jobs start again.')}>
            Resume…
          </button>
        ) : (
          <button
            type="button"
            onClick={() =>
              act('pause', `Pause batch ${batch.name}?`, `What runs goes on; ${many(left, 'job')} ${left === 1 ? 'is' : 'are'} not ended.`)
            }
          >
            Pause…
          </button>
        ))}
      {batch.state === 'open' && (
        <button
          type="button"
          onClick={() => act('close', `Close batch ${batch.name}?`, 'It takes no more jobs; those that it has still run.')}
        >
          Close…
        </button>
      )}
      {batch.state !== 'cancelled' && left > 0 && (
        <button
          type="button"
          class="danger"
          onClick={() =>
            act(
              'cancel',
              `Cancel batch ${batch.name} with ${many(left, 'job')}?`,
              'It is closed, and all of its jobs that have not ended are cancelled.',
              true,
            )
          }
        >
          Cancel…
        </button>
      )}
      {batch.counts.failed > 0 && batch.state === 'open' && (
        <button
          type="button"
          onClick={() =>
            askAll(
              'redrive',
              parse(
                print([
                  { key: 'batch', value: batch.id },
                  { key: 'state', value: 'failed' },
                ]),
              ).terms,
              again,
            )
          }
        >
          Redrive failed…
        </button>
      )}
    </div>
  );
}
