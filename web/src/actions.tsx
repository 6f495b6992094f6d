// SPDX-License-Identifier: Apache-2.0
// What can be done to jobs, each with the command that does the same.
import { type Job, send } from './api';
import { ask } from './parts/ask';
import { type Filter, type Term, toFilter, toFlags, word } from './search';
import { many } from './time';

export type Verb = 'redrive' | 'cancel' | 'dismiss';
const TEXT: Record<Verb, string> = {
  redrive: 'They run again as new jobs, linked to the old ones.',
  cancel: 'Those that wait end at once. Those that run get SIGTERM and, after 10 seconds, SIGKILL.',
  dismiss: 'They stay failed and are kept as long as before, but nobody needs to look at them any more.',
};
const NAME: Record<Verb, string> = { redrive: 'Redrive', cancel: 'Cancel jobs', dismiss: 'Dismiss' };
export const OPEN_ENDS = ['scheduled', 'blocked', 'ready', 'leased', 'running'];

/** Some jobs by id. The hub takes a thousand at a time. */
export function askIds(verb: Verb, ids: string[], done: () => void): void {
  const some = ids.slice(0, 1000);
  ask({
    title: `${NAME[verb]} ${many(some.length, 'selected job')}?`,
    verb: NAME[verb],
    danger: verb === 'cancel',
    done,
    text: (
      <p>
        {TEXT[verb]}
        {some.length < ids.length && ' Only the first 1,000 of what is selected.'}
      </p>
    ),
    command: `geres job ${verb} ${some.join(' ')}`,
    bulk: { path: 'v1/jobs/' + verb, filter: { ids: some, ...states(verb) } },
  });
}

/** All jobs that a search finds. */
export function askAll(verb: Verb, terms: Term[], done: () => void): void {
  const filter = toFilter(terms, verb);
  if ('cannot' in filter) return;
  const whole: Filter = { ...(filter as Filter) };
  // Without a state: what has not ended is cancelled, dead letters are redriven or dismissed.
  if (!whole.state && verb === 'cancel') whole.state = OPEN_ENDS;
  ask({
    title: `${NAME[verb]} all jobs that fit the search?`,
    verb: NAME[verb],
    danger: verb === 'cancel',
    done,
    text: <p>{TEXT[verb]}</p>,
    command: `geres job ${verb}${toFlags(terms)}${whole.state && !terms.some((t) => t.key === 'state') ? ' --state ' + whole.state.join(',') : ''}`,
    bulk: { path: 'v1/jobs/' + verb, filter: whole },
  });
}

export const canAll = (verb: Verb, terms: Term[]): boolean => terms.length > 0 && !('cannot' in toFilter(terms, verb));

const states = (verb: Verb): Filter =>
  verb === 'cancel' ? { state: OPEN_ENDS } : verb === 'dismiss' ? {} : { state: ['failed', 'cancelled', 'finished'] };

/** One job alone. */
export function askOne(verb: Verb, job: Job, done: (answer: Job) => void): void {
  ask({
    title: `${verb === 'cancel' ? 'Cancel' : NAME[verb]} this job?`,
    verb: verb === 'cancel' ? 'Cancel the job' : NAME[verb],
    danger: verb === 'cancel',
    text: (
      <p>
        {
          {
            redrive: 'It runs again as a new job, linked to this one.',
            cancel: 'If it waits it ends at once. If it runs it gets SIGTERM and, after 10 seconds, SIGKILL.',
            dismiss: 'It stays failed, but nobody needs to look at it any more.',
          }[verb]
        }
      </p>
    ),
    command: `geres job ${verb} ${word(job.id)}`,
    act: async () => {
      const answer = await send<Job>('POST', `v1/jobs/${encodeURIComponent(job.id)}/${verb}`);
      done(answer);
      return verb === 'redrive' ? (
        <p role="status">
          It runs again as <a href={'jobs/' + answer.id}>{answer.id}</a>.
        </p>
      ) : undefined;
    },
  });
}
