// SPDX-License-Identifier: Apache-2.0
// One job: where it stands, why it waits or failed, what its attempts did and what they left.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { askOne } from '../actions';
import { type Attempt, enc, get, type Job, type Page } from '../api';
import { useData } from '../data';
import { useKey } from '../keys';
import { connected, gap, useWatch } from '../live';
import { Attempts } from '../parts/attempts';
import { Command, Copy, Head, Icon, Part, Skeleton, State, Trouble, useTitle } from '../parts/basic';
import { Files } from '../parts/files';
import { Log } from '../parts/log';
import { Resubmit } from '../parts/resubmit';
import { path } from '../route';
import { can } from '../session';
import { About, History } from '../parts/job_about';
import { Steps, Waits, Failed } from '../parts/job_state';

export default function JobPage() {
  const id = path.value[1];
  return <One key={id} id={id} />;
}

const ENDED = ['finished', 'failed', 'cancelled'];

function One({ id }: { id: string }) {
  const [ended, setEnded] = useState(false);
  const data = useData(
    `job${id}${gap.value}`,
    (signal) => get<Job>('v1/jobs/' + enc(id), signal),
    ended ? 0 : connected.value ? 15e3 : 2e3,
  );
  const [news, setNews] = useState<Job>(),
    kept = useKept(data.value),
    job = news && (!kept || news.version > kept.version) ? { ...kept, ...news } : kept;
  const take = useCallback(
    (one: Job) => {
      if (one.id === id) setNews((old) => (!old || one.version > old.version ? one : old));
    },
    [id],
  );
  useWatch(job && !ENDED.includes(job.state) ? { jobs: [job.id] } : {}, take);
  useEffect(() => setEnded(!!job && ENDED.includes(job.state)), [job?.state]);
  useTitle(job?.name || 'Job …' + id.slice(-8));
  const redrive = (): void => {
    if (job && ended && can('submitter')) askOne('redrive', job, () => data.again());
  };
  useKey('r', redrive);
  if (!job)
    return (
      <section>
        <Head
          title={
            <>
              Job <code>{'…' + id.slice(-8)}</code>
            </>
          }
        />
        {data.problem ? <Trouble problem={data.problem} again={data.again} /> : <Skeleton rows={8} />}
      </section>
    );
  return (
    <section class="job">
      <Head title={job.name || `${job.type} …${job.id.slice(-8)}`} note={<State of={job.state} />} />
      {data.problem && <Trouble problem={data.problem} again={data.again} />}
      <Actions job={job} redrive={redrive} again={data.again} />
      <Steps job={job} />
      {!ENDED.includes(job.state) && !['running', 'leased'].includes(job.state) && <Waits job={job} />}
      {job.state === 'failed' && <Failed job={job} />}
      {job.state === 'cancelled' && job.error && (
        <p class="card note">
          <Icon of="cancelled" />
          {job.error}
        </p>
      )}
      {job.progress && job.state === 'running' && (
        <p class="card note">
          <progress max={100} value={job.progress.percent} aria-label="Progress" />{' '}
          {job.progress.percent !== undefined && `${job.progress.percent} %`} {job.progress.message}
        </p>
      )}
      <Tried job={job} />
      {job.result !== undefined && (
        <section class="card" aria-labelledby="result">
          <h2 id="result">Result</h2>
          <pre tabIndex={0} class="text">
            {job.result}
          </pre>
          <p>
            {job.resultTruncated && <span class="dim">Only its beginning was kept. </span>}
            <Copy text={job.result} />
          </p>
        </section>
      )}
      {(job.attempt ?? 0) > 0 && <Files job={job} />}
      <About job={job} />
      <History job={job} />
    </section>
  );
}

/** The newest value, also while the same thing is read again under another key. */
function useKept<T>(value: T | undefined): T | undefined {
  const [kept, setKept] = useState(value);
  useEffect(() => {
    if (value !== undefined) setKept(value);
  }, [value]);
  return value ?? kept;
}

function Actions({ job, redrive, again }: { job: Job; redrive: () => void; again: () => void }) {
  const [changing, setChanging] = useState(false);
  if (!can('submitter')) return <Command line={'geres job show ' + job.id} />;
  const ended = ENDED.includes(job.state);
  return (
    <>
      <div class="actions" role="group" aria-label="Actions">
        {ended && (
          <button type="button" class="primary" onClick={redrive}>
            Redrive…
          </button>
        )}
        {ended && (
          <button type="button" aria-expanded={changing} onClick={() => setChanging(!changing)}>
            Redrive with changes…
          </button>
        )}
        {!ended && (
          <button type="button" class="danger" disabled={!!job.cancelRequestedAt} onClick={() => askOne('cancel', job, again)}>
            {job.cancelRequestedAt ? 'Being cancelled' : 'Cancel…'}
          </button>
        )}
        {job.state === 'failed' && !job.settledAt && (
          <button type="button" onClick={() => askOne('dismiss', job, again)}>
            Dismiss…
          </button>
        )}
        <span class="grow" />
        <Copy text={job.id} label="Copy id" />
        <Copy text={'geres job show ' + job.id} label="Copy command" />
      </div>
      {changing && <Resubmit job={job} close={() => setChanging(false)} />}
    </>
  );
}

function Tried({ job }: { job: Job }) {
  const data = useData(`attempts${job.id}/${job.attempt}/${job.state}${gap.value}`, (signal) =>
    get<Page<Attempt>>(`v1/jobs/${enc(job.id)}/attempts`, signal).then((page) => page.items),
  );
  const attempts = useKept(data.value),
    [chosen, setChosen] = useState<number>();
  if (!job.attempt) return null;
  const shown = chosen ?? job.attempt;
  return (
    <>
      <section class="card" aria-labelledby="attempts">
        <h2 id="attempts">Attempts</h2>
        <Part data={{ ...data, value: attempts }} rows={2}>
          {(items) => <Attempts items={items} job={job} shown={shown} onShow={setChosen} />}
        </Part>
      </section>
      <Log key={job.id + shown} job={job} attempt={shown} running={shown === job.attempt && !ENDED.includes(job.state)} />
    </>
  );
}
