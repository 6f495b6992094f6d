// SPDX-License-Identifier: Apache-2.0
// What the list of jobs can show of a job, in the order in which it stands there.
import type { Job } from '../api';
import { ago, at, now, span } from '../time';
import { shortId, State } from './basic';
import type { Column } from './table';

export interface JobColumn extends Column<Job> {
  /** A track of the grid, and the narrower one beside an error. */
  width: string;
  beside?: string;
  /** Members of a job that are asked for only with this column. */
  needs?: string;
  about?: string;
}

const ms = (text?: string): number => Date.parse(text ?? '');
const title = (job: Job): string => job.name || shortId(job.id);
const When = ({ of }: { of?: string }) => (
  <time dateTime={of} title={at(of)}>
    {ago(of)}
  </time>
);

function waited(job: Job): string {
  return span((ms(job.startedAt) || ms(job.finishedAt) || now.value) - ms(job.readyAt ?? job.submittedAt));
}

function ran(job: Job): string {
  const begun = ms(job.startedAt),
    ended = ms(job.finishedAt);
  if (!begun) return '–';
  const percent = !ended && job.progress?.percent !== undefined ? ` ${job.progress.percent} %` : '';
  return span((ended || now.value) - begun) + percent;
}

function tags(job: Job): string {
  return (
    Object.entries(job.tags ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(' ') || '–'
  );
}

export const COLUMNS: JobColumn[] = [
  { name: 'State', width: '104px', beside: '90px', of: (job) => <State of={job.state} /> },
  { name: 'Type', width: 'minmax(80px, 1fr)', beside: 'minmax(70px, 1fr)', of: (job) => job.type },
  {
    name: 'Name',
    width: 'minmax(110px, 2.2fr)',
    beside: 'minmax(90px, 1.3fr)',
    of: (job) => (
      <>
        <a tabIndex={-1} href={'jobs/' + job.id} title={job.name}>
          {title(job)}
        </a>
        <small>{[job.type, job.tenant, job.error ?? job.batchName].filter(Boolean).join(' · ')}</small>
      </>
    ),
  },
  { name: 'Error', width: 'minmax(160px, 3.4fr)', of: (job) => <span title={job.error}>{job.error ?? '–'}</span> },
  { name: 'Reason', about: 'why it failed', width: 'minmax(80px, 0.8fr)', of: (job) => job.reason ?? '–' },
  { name: 'Tenant', width: 'minmax(70px, 1fr)', beside: 'minmax(60px, 0.8fr)', of: (job) => job.tenant },
  { name: 'Batch', width: 'minmax(70px, 1fr)', of: (job) => job.batchName ?? '–' },
  { name: 'Host', width: 'minmax(60px, 1fr)', beside: 'minmax(60px, 0.8fr)', of: (job) => job.host ?? '–' },
  { name: 'Attempts', width: '72px', right: true, of: (job) => job.attempt },
  { name: 'Priority', width: '72px', right: true, needs: 'priority', of: (job) => job.priority },
  { name: 'Package', width: 'minmax(80px, 1fr)', needs: 'package', of: (job) => job.package ?? '–' },
  { name: 'Tags', width: 'minmax(100px, 1.4fr)', needs: 'tags', of: (job) => <span title={tags(job)}>{tags(job)}</span> },
  { name: 'By', about: 'whose token handed it in', width: 'minmax(70px, 1fr)', needs: 'submittedBy', of: (job) => job.submittedBy ?? '–' },
  { name: 'Id', width: '88px', of: (job) => <code title={job.id}>{shortId(job.id)}</code> },
  { name: 'Waited', width: '96px', right: true, of: waited },
  { name: 'Ran', width: '104px', right: true, of: ran },
  { name: 'Submitted', width: '100px', right: true, of: (job) => <When of={job.submittedAt} /> },
  { name: 'Ended', width: '96px', right: true, of: (job) => <When of={job.finishedAt} /> },
];

const USUAL = ['State', 'Type', 'Name', 'Tenant', 'Batch', 'Host', 'Waited', 'Ran', 'Submitted'],
  FAILED = ['State', 'Type', 'Name', 'Error', 'Tenant', 'Host', 'Ended'];

/** Those that were chosen; else what says most of what is looked for. The name is always there: it is the way to the job. */
export function columnsFor(chosen: string[] | undefined, failed: boolean): JobColumn[] {
  const names = chosen ?? (failed ? FAILED : USUAL);
  return COLUMNS.filter((column) => column.name === 'Name' || names.includes(column.name));
}

/** The tracks of the grid, and how narrow they can be together. */
export function tracks(columns: JobColumn[], selectable: boolean): { template: string; least: number } {
  const error = columns.some((column) => column.name === 'Error');
  const widths = [...(selectable ? ['34px'] : []), ...columns.map((column) => (error && column.beside) || column.width)];
  const least = widths.reduce((sum, width) => sum + parseInt(width.replace('minmax(', ''), 10) + 8, 12);
  return { template: widths.join(' '), least };
}
