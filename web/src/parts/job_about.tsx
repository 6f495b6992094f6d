// SPDX-License-Identifier: Apache-2.0
// What a job was handed in with, and its events.
import { useState } from 'preact/hooks';
import { enc, type Event, get, type Job, type Page } from '../api';
import { useData } from '../data';
import { Command, Json, Pairs, Part, Tags } from './basic';
import { at, many, size } from '../time';

export function About({ job }: { job: Job }) {
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

export function History({ job }: { job: Job }) {
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
