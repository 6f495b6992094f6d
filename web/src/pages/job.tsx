// SPDX-License-Identifier: Apache-2.0
// One job: where it stands, why it waits or failed, what its attempts did and what they left.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { askOne } from '../actions';
import { type Attempt, enc, type Event, get, type Job, type Page, type Why } from '../api';
import { useData } from '../data';
import { useKey } from '../keys';
import { connected, gap, useWatch } from '../live';
import { Attempts } from '../parts/attempts';
import { Ago, Command, Copy, Head, Icon, Json, Pairs, Part, Skeleton, State, Tags, Trouble, useTitle } from '../parts/basic';
import { Files } from '../parts/files';
import { Log } from '../parts/log';
import { Resubmit } from '../parts/resubmit';
import { path } from '../route';
import { can } from '../session';
import { at, many, num, size, span } from '../time';

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

function Steps({ job }: { job: Job }) {
  const last = (text?: string): number => Date.parse(text ?? '');
  const end = job.finishedAt,
    steps: [string, number, string?][] = [['submitted', last(job.submittedAt), job.submittedAt]];
  if (job.readyAt) steps.push(['ready', last(job.readyAt), job.readyAt]);
  if (job.startedAt) steps.push(['running', last(job.startedAt), job.startedAt]);
  if (end) steps.push([job.state, last(end), end]);
  else if (job.state !== 'running' && steps.at(-1)![0] !== job.state) steps.push([job.state, NaN, job.dueAt]);
  return (
    <ol class="steps card" aria-label="From submit to end">
      {steps.map(([name, ms, text], i) => {
        const next = steps[i + 1]?.[1];
        return (
          <li key={name} class={'is-' + name}>
            <State of={name} />
            <small>
              {text && !Number.isNaN(ms) ? (
                <time dateTime={text} title={at(text)}>
                  {at(text).slice(11)}
                </time>
              ) : text ? (
                <>
                  due <Ago of={text} />
                </>
              ) : (
                'now'
              )}
            </small>
            {steps[i + 1] ? (
              <span class="gap">{Number.isNaN(next) ? <Ago of={text} /> : span(next - ms)}</span>
            ) : (
              !end &&
              !Number.isNaN(ms) && (
                <span class="gap">
                  since <Ago of={text} />
                </span>
              )
            )}
          </li>
        );
      })}
    </ol>
  );
}

function Waits({ job }: { job: Job }) {
  const why = useData('why' + job.id + job.state, (signal) => get<Why>(`v1/jobs/${enc(job.id)}/why`, signal), 3000);
  return (
    <section class="card why" aria-labelledby="why">
      <h2 id="why">Why it waits</h2>
      <Part data={why} rows={2}>
        {(said) => (
          <>
            <p class="big">{said.summary}</p>
            {said.reasons.length > 1 && (
              <ul>
                {said.reasons.map((reason) => (
                  <li key={reason.kind + reason.message}>
                    {reason.message}
                    {reason.hosts ? (
                      <span class="dim">
                        {' '}
                        ({num(reason.hosts)} {reason.hosts === 1 ? 'host' : 'hosts'})
                      </span>
                    ) : (
                      ''
                    )}
                  </li>
                ))}
              </ul>
            )}
            {said.ahead > 0 && <p class="dim">{num(said.ahead)} of its kind are before it.</p>}
          </>
        )}
      </Part>
      <Command line={'geres job why ' + job.id} />
    </section>
  );
}

function Failed({ job }: { job: Job }) {
  return (
    <section class="card failed" aria-labelledby="failed">
      <h2 id="failed">Why it failed</h2>
      <p class="big">
        <code>{job.error ?? 'It left no message.'}</code>
      </p>
      <p class="dim">
        {job.reason}
        {job.cause === 'outOfMemory' && ', out of memory'}
        {job.exit?.code != null && `, exit ${job.exit.code}`}
        {job.exit?.signal != null && `, signal ${job.exit.signal}`}, after {num(job.attempt ?? 0)} of {num(job.maxAttempts ?? 0)} attempts
        {job.host && (
          <>
            , the last on host <a href={'hosts?host=' + enc(job.host)}>{job.host}</a>
          </>
        )}
        . <a href={'jobs?q=' + enc(`state:failed type:${job.type}`)}>Others of this type that failed</a>
      </p>
      {job.redrivenAs && (
        <p>
          It runs again as <a href={'jobs/' + job.redrivenAs}>…{job.redrivenAs.slice(-8)}</a>.
        </p>
      )}
      {job.settledAt && (
        <p>
          Settled <Ago of={job.settledAt} />: nobody needs to look at it any more.
        </p>
      )}
    </section>
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

function About({ job }: { job: Job }) {
  return (
    <section class="card" aria-labelledby="about">
      <h2 id="about">About</h2>
      <Pairs
        of={[
          ['Id', <code>{job.id}</code>],
          ['Tenant', job.tenant],
          ['Type', job.type],
          [
            'Package',
            job.package && (
              <>
                {job.package} <code class="dim">{job.packageSha256?.slice(0, 12)}</code>
              </>
            ),
          ],
          ['Batch', job.batch && <a href={'batches/' + enc(job.batch)}>{job.batchName ?? job.batch}</a>],
          ['Priority', job.priority],
          ['Host', job.host && <a href={'hosts?host=' + enc(job.host)}>{job.host}</a>],
          ['Submitted by', job.submittedBy],
          ['Submitted', at(job.submittedAt)],
          ['Timeout', job.timeout],
          ['Queue timeout', job.queueTimeout],
          ['Attempts', `${job.attempt ?? 0} of ${job.maxAttempts ?? '–'}`],
          [
            'Asks for',
            job.requires &&
              [
                job.requires.slots && many(job.requires.slots, 'slot'),
                job.requires.memory && (typeof job.requires.memory === 'number' ? size(job.requires.memory) : String(job.requires.memory)),
                ...Object.entries(job.requires.labels ?? {}).map(([k, v]) => `${k}=${v}`),
              ]
                .filter(Boolean)
                .join(', '),
          ],
          ['Memory', job.memory && `${size(job.memory)}, since it ran out of less`],
          ['Key', job.key],
          ['Reference', job.ref],
          ['Webhook', job.webhook?.url],
          ['Redrive of', job.redriveOf && <a href={'jobs/' + job.redriveOf}>…{job.redriveOf.slice(-8)}</a>],
          ['Runs again as', job.redrivenAs && <a href={'jobs/' + job.redrivenAs}>…{job.redrivenAs.slice(-8)}</a>],
          ['Tags', <Tags of={job.tags} />],
        ]}
      />
      {job.parameters != null && (
        <>
          <h3>Parameters</h3>
          <Json value={job.parameters} />
        </>
      )}
      {job.inputs && job.inputs.length > 0 && (
        <>
          <h3>Inputs</h3>
          <ul class="plain">
            {job.inputs.map((input) => (
              <li key={input.path}>
                <code>{input.path}</code>{' '}
                {input.job && (
                  <span class="dim">
                    from <a href={'jobs/' + input.job}>…{input.job.slice(-8)}</a>
                  </span>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function History({ job }: { job: Job }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>Events</h2>
      </summary>
      {open && <Events job={job} />}
    </details>
  );
}

function Events({ job }: { job: Job }) {
  const data = useData(`events${job.id}/${job.version}`, (signal) => get<Page<Event>>(`v1/jobs/${enc(job.id)}/events?limit=1000`, signal));
  return (
    <Part data={data}>
      {(page) => (
        <>
          <ol class="events">
            {page.items.map((event) => (
              <li key={event.id}>
                <time class="dim" dateTime={event.time}>
                  {at(event.time)}
                </time>{' '}
                <b>{event.type.replace(/^geres\./, '')}</b> <span class="dim">{brief(event.data)}</span>
              </li>
            ))}
          </ol>
          <Command line={'geres job events ' + job.id} />
        </>
      )}
    </Part>
  );
}

const brief = (data: Record<string, unknown>): string =>
  ['attempt', 'host', 'reason', 'error']
    .filter((key) => data[key] !== undefined)
    .map((key) => `${key} ${String(data[key])}`)
    .join(', ');
