// SPDX-License-Identifier: Apache-2.0
// The attempts of a job as lanes on one axis of time, which is also a table.
import type { Attempt, Job } from '../api';
import { at, now, num, size, span } from '../time';
import { State } from './basic';

const ms = (text?: string): number => Date.parse(text ?? '');

export function Attempts({ items, job, shown, onShow }: { items: Attempt[]; job: Job; shown: number; onShow: (attempt: number) => void }) {
  const start = Math.min(...items.map((one) => ms(one.leasedAt))),
    end = Math.max(...items.map((one) => ms(one.endedAt) || now.value)),
    whole = Math.max(1, end - start);
  const x = (t: number): number => (200 * (t - start)) / whole;
  return (
    <table class="attempts stack">
      <thead>
        <tr>
          <th scope="col">Attempt</th>
          <th scope="col">Host</th>
          <th scope="col">Outcome</th>
          <th scope="col" class="lane">
            From {at(items[0]?.leasedAt).slice(11)} on, {span(whole)} in all
          </th>
          <th scope="col" class="r">
            Ran
          </th>
          <th scope="col" class="r">
            Exit
          </th>
          <th scope="col" class="r">
            CPU
          </th>
          <th scope="col" class="r">
            Memory
          </th>
        </tr>
      </thead>
      <tbody>
        {[...items].reverse().map((one) => {
          const from = ms(one.startedAt) || ms(one.leasedAt),
            to = ms(one.endedAt) || now.value,
            outcome = one.outcome ?? (job.state === 'leased' ? 'leased' : 'running');
          return (
            <tr key={one.attempt} aria-current={one.attempt === shown ? 'true' : undefined} class={one.attempt === shown ? 'shown' : ''}>
              <td data-name="Attempt">
                <button
                  type="button"
                  class="small"
                  aria-pressed={one.attempt === shown}
                  aria-label={`Show the log of attempt ${one.attempt}`}
                  onClick={() => onShow(one.attempt)}
                >
                  {num(one.attempt)}
                </button>
              </td>
              <td data-name="Host">{one.host}</td>
              <td data-name="Outcome">
                <State of={outcome} />
                {one.error && (
                  <small class="dim why" title={one.error}>
                    {one.error}
                  </small>
                )}
              </td>
              <td class="lane" aria-hidden="true">
                <svg viewBox="0 0 200 16" preserveAspectRatio="none">
                  <rect class="leased" x={x(ms(one.leasedAt))} y={6} width={Math.max(0, x(from) - x(ms(one.leasedAt)))} height={4} />
                  <rect
                    class={outcome === 'finished' ? 'ok' : one.endedAt ? 'bad' : 'now'}
                    x={x(from)}
                    y={2}
                    width={Math.max(1, x(to) - x(from))}
                    height={12}
                  />
                </svg>
              </td>
              <td data-name="Ran" class="r">
                {one.startedAt ? span(to - ms(one.startedAt)) : '–'}
              </td>
              <td data-name="Exit" class="r">
                {one.exit?.signal != null ? `signal ${one.exit.signal}` : (one.exit?.code ?? '–')}
                {one.cause === 'outOfMemory' && ', out of memory'}
              </td>
              <td data-name="CPU" class="r">
                {one.usage?.cpuSeconds !== undefined ? span(one.usage.cpuSeconds * 1e3) : '–'}
              </td>
              <td data-name="Memory" class="r">
                {size(one.usage?.maxRssBytes)}
                {one.memory ? <small class="dim"> of {size(one.memory)}</small> : ''}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
