// SPDX-License-Identifier: Apache-2.0
// The attempts of a job as lanes on one axis of time, which is also a table.
import type { Attempt, Job } from '../api';
import { at, now, num, size, span } from '../time';
import { State } from './basic';
import { type Column, Table } from './table';

const ms = (text?: string): number => Date.parse(text ?? '');

export function Attempts({ items, job, shown, onShow }: { items: Attempt[]; job: Job; shown: number; onShow: (attempt: number) => void }) {
  return (
    <Table
      class="attempts"
      rows={[...items].reverse()}
      keyOf={(one) => one.attempt}
      shown={(one) => one.attempt === shown}
      columns={columns(items, job, shown, onShow)}
    />
  );
}

const outcomeOf = (one: Attempt, job: Job): string => one.outcome ?? (job.state === 'leased' ? 'leased' : 'running');
const endOf = (one: Attempt): number => ms(one.endedAt) || now.value;

function columns(items: Attempt[], job: Job, shown: number, onShow: (attempt: number) => void): Column<Attempt>[] {
  const start = Math.min(...items.map((one) => ms(one.leasedAt))),
    whole = Math.max(1, Math.max(...items.map(endOf)) - start);
  return [
    {
      name: 'Attempt',
      label: 'Attempt',
      of: (one) => (
        <button
          type="button"
          class="small"
          aria-pressed={one.attempt === shown}
          aria-label={`Show the log of attempt ${one.attempt}`}
          onClick={() => onShow(one.attempt)}
        >
          {num(one.attempt)}
        </button>
      ),
    },
    { name: 'Host', of: (one) => one.host },
    {
      name: 'Outcome',
      of: (one) => (
        <>
          <State of={outcomeOf(one, job)} />
          {one.error && (
            <small class="dim why" title={one.error}>
              {one.error}
            </small>
          )}
        </>
      ),
    },
    {
      name: 'When',
      heading: `From ${at(items[0]?.leasedAt).slice(11)} on, ${span(whole)} in all`,
      kind: 'lane',
      of: (one) => <Lane one={one} outcome={outcomeOf(one, job)} x={(t) => (200 * (t - start)) / whole} />,
    },
    { name: 'Ran', right: true, of: (one) => (one.startedAt ? span(endOf(one) - ms(one.startedAt)) : '–') },
    {
      name: 'Exit',
      right: true,
      of: (one) =>
        (one.exit?.signal != null ? `signal ${one.exit.signal}` : (one.exit?.code ?? '–')) +
        (one.cause === 'outOfMemory' ? ', out of memory' : ''),
    },
    { name: 'CPU', right: true, of: (one) => (one.usage?.cpuSeconds !== undefined ? span(one.usage.cpuSeconds * 1e3) : '–') },
    {
      name: 'Memory',
      right: true,
      of: (one) => (
        <>
          {size(one.usage?.maxRssBytes)}
          {one.memory ? <small class="dim"> of {size(one.memory)}</small> : ''}
        </>
      ),
    },
  ];
}

function Lane({ one, outcome, x }: { one: Attempt; outcome: string; x: (t: number) => number }) {
  const leased = ms(one.leasedAt),
    from = ms(one.startedAt) || leased;
  return (
    <svg viewBox="0 0 200 16" preserveAspectRatio="none">
      <rect class="leased" x={x(leased)} y={6} width={Math.max(0, x(from) - x(leased))} height={4} />
      <rect
        class={outcome === 'finished' ? 'ok' : one.endedAt ? 'bad' : 'now'}
        x={x(from)}
        y={2}
        width={Math.max(1, x(endOf(one)) - x(from))}
        height={12}
      />
    </svg>
  );
}
