// SPDX-License-Identifier: Apache-2.0
// A job again with changes: a new job with the members of the old one, of which some can be other.
import { useState } from 'preact/hooks';
import { type Job, type Problem, send } from '../api';
import { problemFrom } from '../data';
import { word } from '../search';
import { Command, Trouble } from './basic';

const SAME = [
  'tenant',
  'type',
  'name',
  'inputs',
  'batch',
  'timeout',
  'queueTimeout',
  'lease',
  'backoff',
  'requires',
  'webhook',
  'tags',
  'ref',
] as const;

export function Resubmit({ job, close }: { job: Job; close: () => void }) {
  const [parameters, setParameters] = useState(JSON.stringify(job.parameters ?? {}, null, 2)),
    [attempts, setAttempts] = useState(String(job.maxAttempts ?? 5)),
    [priority, setPriority] = useState(String(job.priority ?? 0)),
    [timeout, setTimeout_] = useState(job.timeout ?? ''),
    [newest, setNewest] = useState(true);
  const [problem, setProblem] = useState<Problem>(),
    [made, setMade] = useState<Job>(),
    [busy, setBusy] = useState(false);
  let parsed: unknown,
    bad = '';
  try {
    parsed = JSON.parse(parameters);
  } catch (error) {
    bad = (error as Error).message;
  }
  const pack = job.package && (newest || !job.packageSha256 ? job.package : `${job.package}@${job.packageSha256}`);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    const spec: Record<string, unknown> = Object.fromEntries(SAME.filter((key) => job[key] !== undefined).map((key) => [key, job[key]]));
    Object.assign(spec, { parameters: parsed, maxAttempts: Number(attempts), priority: Number(priority) }, pack ? { package: pack } : {});
    if (timeout) spec.timeout = timeout;
    else delete spec.timeout;
    try {
      setMade(await send<Job>('POST', 'v1/jobs', spec));
    } catch (error) {
      setProblem(problemFrom(error));
    }
    setBusy(false);
  };
  const line = [
    `geres submit --tenant ${word(job.tenant ?? '')} --type ${word(job.type ?? '')}`,
    pack && `--package ${word(pack)}`,
    job.batchName && job.batch !== 'batch0' && `--batch ${word(job.batchName)}`,
    job.name && `--name ${word(job.name)}`,
    `--params ${word(bad ? '{}' : JSON.stringify(parsed))}`,
    ...(job.inputs ?? []).map((input) => `--input ${word(input.path)}`),
    `--max-attempts ${word(attempts)}`,
    priority !== '0' && `--priority=${word(priority)}`,
    timeout && `--timeout ${word(timeout)}`,
    job.queueTimeout && `--queue-timeout ${word(job.queueTimeout)}`,
    job.lease && `--lease ${word(job.lease)}`,
    job.requires?.slots && job.requires.slots > 1 && `--slots ${job.requires.slots}`,
    job.requires?.memory && `--memory ${word(String(job.requires.memory))}`,
    ...Object.entries(job.requires?.labels ?? {}).map(([key, value]) => `--label ${word(`${key}=${value}`)}`),
    ...Object.entries(job.tags ?? {}).map(([key, value]) => `--tag ${word(`${key}=${value}`)}`),
  ]
    .filter(Boolean)
    .join(' ');
  return (
    <form class="card change" aria-labelledby="change" onSubmit={(event) => void submit(event)}>
      <h2 id="change">Redrive with changes</h2>
      {made ? (
        <p role="status">
          It runs as <a href={'jobs/' + made.id}>{made.id}</a>.{' '}
          <button type="button" onClick={close}>
            Close
          </button>
        </p>
      ) : (
        <>
          <p class="dim">A new job with all of this one but what you change here. This one stays as it is.</p>
          <label for="c-parameters">Parameters</label>
          <textarea
            id="c-parameters"
            rows={Math.min(16, parameters.split('\n').length + 1)}
            spellcheck={false}
            value={parameters}
            aria-invalid={!!bad}
            aria-describedby={bad ? 'c-bad' : undefined}
            onInput={(event) => setParameters(event.currentTarget.value)}
          />
          {bad && (
            <p id="c-bad" class="trouble" role="alert">
              This is no JSON: {bad}
            </p>
          )}
          <div class="fields">
            <label>
              Attempts{' '}
              <input
                type="number"
                min={1}
                max={1000}
                required
                value={attempts}
                onInput={(event) => setAttempts(event.currentTarget.value)}
              />
            </label>
            <label>
              Priority <input type="number" required value={priority} onInput={(event) => setPriority(event.currentTarget.value)} />
            </label>
            <label>
              Timeout <input placeholder="none" value={timeout} onInput={(event) => setTimeout_(event.currentTarget.value)} />
            </label>
            {job.package && (
              <label>
                <input type="checkbox" checked={newest} onChange={(event) => setNewest(event.currentTarget.checked)} /> Newest version of{' '}
                {job.package}
              </label>
            )}
          </div>
          <h3>The same on the command line</h3>
          <Command line={line} />
          {problem && <Trouble problem={problem} />}
          <p class="buttons">
            <button type="button" onClick={close}>
              Leave it
            </button>
            <button class="primary" disabled={!!bad || busy}>
              Run it
            </button>
          </p>
        </>
      )}
    </form>
  );
}
