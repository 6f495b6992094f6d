// SPDX-License-Identifier: Apache-2.0
// The states above a list of jobs with their counts, and the news of its rows.
import { useCallback, useEffect, useRef } from 'preact/hooks';
import { type Batch, enc, get, type Job, type Status } from '../api';
import { useData } from '../data';
import { gap, status } from '../live';
import { STATES } from '../search';
import { short } from '../time';

/** Puts news into the rows that are there, a few times a second at most; each takes the higher version. */
export function useNews(setRows: (change: (rows: Job[]) => Job[]) => void, on: boolean): (job: Job) => void {
  const pending = useRef(new Map<string, Job>()),
    timer = useRef(0),
    allowed = useRef(on);
  allowed.current = on;
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback((job: Job) => {
    pending.current.set(job.id, job);
    timer.current ||= setTimeout(() => {
      timer.current = 0;
      const news = pending.current;
      pending.current = new Map();
      if (allowed.current)
        setRows((old) =>
          old.map((had) => {
            const now = news.get(had.id);
            return now && now.version > had.version ? { ...had, ...now } : had;
          }),
        );
    }, 250);
  }, []);
}

export function Pills({ chosen, others, onPick }: { chosen: string[]; others: [string, string][]; onPick: (state?: string) => void }) {
  const batch = others.length === 1 && others[0][0] === 'batch' ? others[0][1] : '';
  // Counts are known for all jobs and for a batch; for another search they would have to be counted one by one.
  const first = useData(
    'counts' + batch + gap.value,
    (signal) =>
      batch
        ? get<Batch>('v1/batches/' + enc(batch), signal).then((one) => one.counts)
        : get<Status>('v1/status', signal).then((all) => all.jobs),
    batch ? 5000 : 0,
  );
  const counts = others.length === 0 ? (status.value?.jobs ?? first.value) : batch ? first.value : undefined;
  const count = (n: number | undefined) =>
    n === undefined ? null : (
      <>
        {' '}
        <b>{short(n)}</b>
      </>
    );
  return (
    <div class="pills" role="group" aria-label="State">
      <button type="button" aria-pressed={!chosen.length} onClick={() => onPick()}>
        all{count(counts && Object.values(counts).reduce((a, b) => a + b, 0))}
      </button>
      {STATES.filter((state) => state !== 'blocked' || counts?.blocked).map((state) => (
        <button
          type="button"
          key={state}
          class={'is-' + state}
          aria-pressed={chosen.includes(state)}
          onClick={() => onPick(chosen.length === 1 && chosen[0] === state ? undefined : state)}
        >
          {state}
          {count(counts?.[state])}
        </button>
      ))}
    </div>
  );
}
