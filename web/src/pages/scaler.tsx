// SPDX-License-Identifier: Apache-2.0
// Pools that grow and shrink: what waited, how many hosts were wanted and there, and why each decision was made.
import type uPlot from 'uplot';
import { useMemo, useState } from 'preact/hooks';
import { all, type Decision, enc, get, type LoadSample, type Page, type Pool, type ScalerStatus, send } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { ask } from '../parts/ask';
import { Ago, Command, Empty, Head, Pairs, Part, State, useTitle } from '../parts/basic';
import { Chart, type Mark } from '../parts/chart';
import { type Column, Table } from '../parts/table';
import { go, query, withQuery } from '../route';
import { word } from '../search';
import { duration, many, num } from '../time';

const RANGES = ['15m', '1h', '6h', '24h', '7d'];

export default function Scaler() {
  useTitle('Autoscaler');
  const data = useData('scaler' + gap.value, (signal) => get<ScalerStatus>('v1/scaler', signal), 5000);
  const name = query.value.get('pool'),
    pool = data.value?.pools.find((one) => one.name === name) ?? data.value?.pools[0];
  return (
    <section>
      <Head
        title="Autoscaler"
        note={
          data.value && (data.value.scaler ? `${data.value.scaler.holder} scales` : data.value.pools.length ? 'no scaler has come yet' : '')
        }
      />
      <Part data={data}>
        {(all_) =>
          !pool ? (
            <Empty>
              No pools: nothing here makes hosts by itself.{' '}
              <Command line="geres scaler pool set here --policy messageWaitingTime --wait 30s --max 4" />
            </Empty>
          ) : (
            <>
              {all_.pools.length > 1 && (
                <div class="pills filters" role="group" aria-label="Pool">
                  {all_.pools.map((one) => (
                    <button type="button" key={one.name} aria-pressed={one === pool} onClick={() => go(withQuery({ pool: one.name }))}>
                      {one.name}
                    </button>
                  ))}
                </div>
              )}
              <One key={pool.name} pool={pool} again={data.again} />
            </>
          )
        }
      </Part>
    </section>
  );
}

function One({ pool, again }: { pool: Pool; again: () => void }) {
  const range = RANGES.includes(query.value.get('range') ?? '') ? query.value.get('range')! : '1h',
    from = (): string => new Date(Date.now() - duration(range)).toISOString();
  const load = useData(
    `load${pool.name}/${range}${gap.value}`,
    (signal) => all<LoadSample>(`v1/scaler/load?pool=${enc(pool.name)}&from=${enc(from())}`, 20000, signal),
    10e3,
  );
  const decisions = useData(
    `decisions${pool.name}/${range}${gap.value}`,
    (signal) => get<Page<Decision>>(`v1/scaler/decisions?pool=${enc(pool.name)}&from=${enc(from())}&limit=500`, signal),
    5000,
  );
  const actual = Object.entries(pool.actual)
    .filter(([, n]) => n)
    .map(([state, n]) => `${n} ${state}`)
    .join(', ');
  const act = (verb: 'pause' | 'resume'): void =>
    ask({
      title: verb === 'pause' ? `Pause pool ${pool.name}?` : `Resume pool ${pool.name}?`,
      verb: verb === 'pause' ? 'Pause' : 'Resume',
      command: `geres scaler ${verb} ${word(pool.name)}`,
      done: again,
      text: <p>{verb === 'pause' ? 'Nothing is ordered and nothing drained until it is resumed.' : 'It grows and shrinks again.'}</p>,
      act: async () => {
        await send('POST', `v1/scaler/pools/${enc(pool.name)}/${verb}`);
        return undefined;
      },
    });
  return (
    <>
      <div class="actions" role="group" aria-label="Actions">
        {pool.paused ? (
          <button type="button" onClick={() => act('resume')}>
            Resume…
          </button>
        ) : (
          <button type="button" onClick={() => act('pause')}>
            Pause…
          </button>
        )}
        <ByHand pool={pool} again={again} />
      </div>
      <section class="card" aria-labelledby="pool">
        <h2 id="pool">
          {pool.name} {pool.paused && <State of="paused" />}
        </h2>
        {pool.lastDecision && (
          <p class="big">
            Wants {many(pool.lastDecision.wanted, 'host')}, {num(pool.lastDecision.actual)} there:{' '}
            {pool.lastDecision.reason ?? 'nothing to be done'}{' '}
            <span class="dim">
              (<Ago of={pool.lastDecision.lastAt} />)
            </span>
          </p>
        )}
        <Pairs
          of={[
            ['Machines', actual || 'none'],
            ['Limits', `${pool.limits.minimum ?? 0} to ${pool.limits.maximum ?? 20}`],
            ['Policy', pool.policy.name],
            ['Provider', pool.provider.name],
            ['Mode', pool.mode === 'observe' ? 'observe: decides, changes nothing' : 'act'],
            [
              'By hand',
              pool.scale && (
                <>
                  {many(pool.scale.wanted, 'host')}, until <Ago of={pool.scale.until} />
                </>
              ),
            ],
            ['Orders under way', pool.intents.length ? num(pool.intents.length) : ''],
          ]}
        />
      </section>
      <section class="card" aria-labelledby="chart">
        <h2 id="chart">Backlog and hosts</h2>
        <div class="pills" role="group" aria-label="How far back">
          {RANGES.map((one) => (
            <button type="button" key={one} aria-pressed={one === range} onClick={() => go(withQuery({ range: one }))}>
              {one}
            </button>
          ))}
        </div>
        <Part data={load}>
          {(samples) =>
            samples.items.length ? (
              <Drawn samples={samples.items} decisions={decisions.value?.items ?? []} pool={pool} />
            ) : (
              <Empty>Nothing was sampled in this time: there was nothing to do for the pool.</Empty>
            )
          }
        </Part>
      </section>
      <section class="card" aria-labelledby="decisions">
        <h2 id="decisions">Decisions</h2>
        <Part data={decisions}>
          {(page) => (
            <Table
              rows={page.items.slice(0, 200)}
              keyOf={(one) => one.id}
              idOf={(one) => 'decision-' + one.id}
              columns={DECISIONS}
              empty="No decisions in this time."
            />
          )}
        </Part>
        <Command line={`geres scaler decisions --pool ${word(pool.name)}`} />
      </section>
    </>
  );
}

/** What was changed, of the kinds of changes that there were any of. */
const parts = (one: Decision): [string, number][] =>
  Object.entries(one.changes as Record<string, unknown>)
    .map(([what, n]): [string, number] => [what, Array.isArray(n) ? n.length : Number(n) || 0])
    .filter(([, n]) => n > 0);

const changes = (one: Decision): string => {
  const what = parts(one).map(([name, n]) => `${name} ${n}`);
  return (what.join(', ') || 'nothing') + (one.outcome && one.outcome !== 'ok' ? `: ${one.outcome}` : '');
};

const DECISIONS: Column<Decision>[] = [
  {
    name: 'When',
    of: (one) => (
      <>
        <Ago of={one.at} />
        {one.times > 1 && <small class="dim"> and {many(one.times - 1, 'time')} more</small>}
      </>
    ),
  },
  {
    name: 'Wanted',
    right: true,
    of: (one) => (
      <>
        {one.wanted}
        {one.raw !== one.wanted && <small class="dim"> of {one.raw}</small>}
      </>
    ),
  },
  { name: 'There', right: true, of: (one) => one.actual },
  { name: 'Why', of: (one) => one.reason ?? '–' },
  { name: 'Done', of: changes },
];

function Drawn({ samples, decisions, pool }: { samples: LoadSample[]; decisions: Decision[]; pool: Pool }) {
  const [over, setOver] = useState<Mark>();
  const marks = useMemo(
    () =>
      decisions.map((one, i): Mark => ({
        at: Date.parse(one.at) / 1e3,
        // Newest first: the next in the list is the one before.
        big: parts(one).length > 0 || one.wanted !== decisions[i + 1]?.wanted,
        text: `wants ${one.wanted}, ${one.actual} there: ${one.reason ?? ''} (${changes(one)})`,
      })),
    [decisions],
  );
  const data = useMemo(() => table(samples, decisions, pool.limits.maximum ?? 20), [samples, decisions, pool]);
  return (
    <>
      <Chart
        title={`Of pool ${pool.name}: jobs that wait, hosts wanted and hosts there; the decisions are in the table below`}
        data={data}
        marks={marks}
        onMark={setOver}
        lines={[
          { name: 'waiting', colour: '--now', step: true },
          { name: 'wanted', colour: '--warn', step: true, right: true, dash: [6, 4] },
          { name: 'there', colour: '--ok', step: true, right: true },
          { name: 'limit', colour: '--edge', step: true, right: true, dash: [2, 4] },
        ]}
      />
      <p class="dim" role="status">
        {over ? over.text : `${many(marks.length, 'decision')}, a mark each; a triangle where something changed. Point at one to see why.`}
      </p>
    </>
  );
}

/** Both series on one axis of time, each value holding until the next. */
function table(samples: LoadSample[], decisions: Decision[], limit: number): uPlot.AlignedData {
  const at = (text: string): number => Date.parse(text) / 1e3,
    points = new Map<number, { waiting?: number; there?: number; wanted?: number }>();
  for (const one of samples) points.set(at(one.at), { ...points.get(at(one.at)), waiting: one.ready.jobs, there: one.hosts });
  for (const one of decisions)
    for (const when of [one.at, one.lastAt]) points.set(at(when), { ...points.get(at(when)), wanted: one.wanted });
  points.set(Math.floor(Date.now() / 1e3), {});
  const times = [...points.keys()].sort((a, b) => a - b),
    held: (number | null)[][] = [[], [], []];
  let last: (number | null)[] = [null, null, null];
  for (const time of times) {
    const point = points.get(time)!;
    last = [point.waiting ?? last[0], point.wanted ?? last[1], point.there ?? last[2]];
    last.forEach((value, i) => held[i].push(value));
  }
  return [times, held[0], held[1], held[2], times.map(() => limit)];
}

function ByHand({ pool, again }: { pool: Pool; again: () => void }) {
  const [wanted, setWanted] = useState(String(pool.lastDecision?.wanted ?? 0));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        ask({
          title: `Have ${many(+wanted, 'host')} in ${pool.name} for an hour?`,
          verb: 'Scale',
          command: `geres scaler scale ${word(pool.name)} ${wanted} --for 1h`,
          done: again,
          text: <p>Then its policy decides again.</p>,
          act: async () => {
            await send('POST', `v1/scaler/pools/${enc(pool.name)}/scale`, { wanted: +wanted, for: '1h' });
            return undefined;
          },
        });
      }}
    >
      <label>
        By hand{' '}
        <input
          type="number"
          min={0}
          max={pool.limits.maximum ?? 20}
          required
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      </label>{' '}
      <button>Scale…</button>
    </form>
  );
}
