// SPDX-License-Identifier: Apache-2.0
// Where a job stands, and why it waits or failed.
import { enc, get, type Job, type Why } from '../api';
import { useData } from '../data';
import { Ago, Due, Command, Part, State } from './basic';
import { at, num, span } from '../time';

export function Steps({ job }: { job: Job }) {
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
                <Due of={text} />
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

export function Waits({ job }: { job: Job }) {
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

export function Failed({ job }: { job: Job }) {
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
