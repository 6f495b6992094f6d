// SPDX-License-Identifier: Apache-2.0
// Dead letters that failed alike, together. The hub is asked for the newest; what was read is grouped here, and said so.
import { useState } from 'preact/hooks';
import { askAll, askIds, canAll } from '../actions';
import { all, enc, type Job, type Page, get, type Problem } from '../api';
import { problemFrom, useData } from '../data';
import { FIELDS, few, type Group, groupsOf, nameOf } from '../groups';
import { useKey } from '../keys';
import { gap } from '../live';
import { Ago, Command, Copy, Head, Part, shortId, Trouble, useTitle } from '../parts/basic';
import { type Column, Table } from '../parts/table';
import { go, query, withQuery } from '../route';
import { parse, print, toFlags, toQuery } from '../search';
import { can } from '../session';
import { many, num } from '../time';

const STEP = 1000;

const kinds = (chosen?: Group): Column<Group>[] => [
  {
    name: 'First line of the error',
    of: (group) => (
      <a href={withQuery({ group: group === chosen ? undefined : nameOf(group.key) })} aria-current={group === chosen ? 'true' : undefined}>
        <code>{group.text}</code>
      </a>
    ),
  },
  { name: 'Reason', of: (group) => group.reason },
  { name: 'Types', kind: 'dim', of: (group) => few(group.types) },
  { name: 'Tenants', kind: 'dim', of: (group) => few(group.tenants) },
  { name: 'Hosts', kind: 'dim', of: (group) => few(group.hosts) },
  { name: 'First', right: true, kind: 'dim', of: (group) => <Ago of={group.first} /> },
  { name: 'Newest', right: true, kind: 'dim', of: (group) => <Ago of={group.last} /> },
  { name: 'Jobs', right: true, of: (group) => <b>{num(group.jobs.length)}</b> },
];

const JOBS: Column<Job>[] = [
  {
    name: 'Job',
    of: (job) => (
      <>
        <a href={'jobs/' + job.id}>{job.name || shortId(job.id)}</a> <span class="dim">{job.type}</span>
      </>
    ),
  },
  { name: 'Error', heading: 'Its error', of: (job) => <code>{job.error ?? '–'}</code> },
  { name: 'Host', of: (job) => (job.host ? <a href={'hosts?host=' + enc(job.host)}>{job.host}</a> : '–') },
  { name: 'Attempts', right: true, of: (job) => job.attempt },
  { name: 'Ended', right: true, kind: 'dim', of: (job) => <Ago of={job.finishedAt} /> },
];

export default function Dead() {
  useTitle('Dead letters');
  const filters = ['tenant', 'batch', 'type', 'host', 'reason', 'since']
    .filter((key) => query.value.get(key))
    .map((key) => ({ key, value: query.value.get(key)! }));
  const text = print([{ key: 'state', value: 'failed' }, { key: 'open', value: 'true' }, ...filters]),
    found = parse(text);
  const data = useData(text + gap.value, (signal) => get<Page<Job>>(address(text), signal), 15e3);
  const [more, setMore] = useState<{ text: string; items: Job[]; next?: string }>(),
    [busy, setBusy] = useState(false),
    [problem, setProblem] = useState<Problem>();
  const mine = more?.text === text ? more : undefined,
    jobs = [...(data.value?.items ?? []), ...(mine?.items ?? []).filter((job) => !data.value?.items.some((had) => had.id === job.id))];
  const next = mine ? mine.next : data.value?.next;
  const readMore = async (): Promise<void> => {
    setBusy(true);
    try {
      const page = await get<Page<Job>>(`${address(text)}&cursor=${enc(next!)}`);
      setMore({ text, items: [...(mine?.items ?? []), ...page.items], next: page.next });
      setProblem(undefined);
    } catch (error) {
      setProblem(problemFrom(error));
    }
    setBusy(false);
  };
  const again = (): void => {
    setMore(undefined);
    data.again();
  };
  const groups = groupsOf(jobs),
    open = query.value.get('group');
  const chosen = groups.find((group) => nameOf(group.key) === open);
  useKey('r', () => {
    if (chosen && can('submitter'))
      askIds(
        'redrive',
        chosen.jobs.map((job) => job.id),
        again,
      );
  });
  return (
    <section>
      <Head
        title="Dead letters"
        note={data.value && `${many(groups.length, 'kind')} among ${next !== undefined ? 'the newest ' : ''}${many(jobs.length, 'job')}`}
      />
      <Filters filters={filters} groups={groups} />
      {problem && <Trouble problem={problem} again={() => void readMore()} />}
      {open && data.value && !chosen && (
        <p class="card">
          That kind of failure is not among what was read: it may be settled. <a href={withQuery({ group: undefined })}>All kinds</a>
        </p>
      )}
      <section class="card" aria-label="Kinds of failure">
        <Part data={data} rows={6}>
          {() => (
            <Table
              rows={groups.slice(0, 200)}
              keyOf={(group) => group.key}
              columns={kinds(chosen)}
              shown={(group) => group === chosen}
              empty={
                filters.length ? (
                  <>
                    None fits. <a href="dead">All dead letters</a>
                  </>
                ) : (
                  'No dead letters: nothing has failed that is not settled.'
                )
              }
            />
          )}
        </Part>
        {next !== undefined && (
          <p>
            <button type="button" disabled={busy} onClick={() => void readMore()}>
              {busy ? 'Reading…' : `Read ${num(STEP)} more`}
            </button>{' '}
            <span class="dim">There are older ones that were not read.</span>
          </p>
        )}
      </section>
      {chosen && <Chosen group={chosen} again={again} />}
      <div class="bulk">
        {can('submitter') &&
          groups.length > 0 &&
          canAll('redrive', parse(print([{ key: 'state', value: 'failed' }, ...filters])).terms) && (
            <>
              <button
                type="button"
                onClick={() => askAll('redrive', parse(print([{ key: 'state', value: 'failed' }, ...filters])).terms, again)}
              >
                Redrive all{filters.length ? ' of these' : ''}…
              </button>
              <button
                type="button"
                onClick={() => askAll('dismiss', parse(print([{ key: 'state', value: 'failed' }, ...filters])).terms, again)}
              >
                Dismiss all{filters.length ? ' of these' : ''}…
              </button>
            </>
          )}
        <span class="grow" />
        <Command line={'geres job list' + toFlags(found.terms)} />
      </div>
    </section>
  );
}

const address = (text: string): string => {
  const parameters = toQuery(parse(text).terms);
  parameters.set('fields', FIELDS);
  parameters.set('limit', String(STEP));
  return 'v1/jobs?' + parameters;
};

function Filters({ filters, groups }: { filters: { key: string; value: string }[]; groups: Group[] }) {
  const value = (key: string): string => filters.find((one) => one.key === key)?.value ?? '';
  const list = (key: string, values: string[]) => (
    <label key={key}>
      {key[0].toUpperCase() + key.slice(1)}{' '}
      <select value={value(key)} onChange={(event) => go(withQuery({ [key]: event.currentTarget.value, group: undefined }))}>
        <option value="">any</option>
        {[...new Set([...values, ...(value(key) ? [value(key)] : [])])].sort().map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
  const of = (pick: (group: Group) => string[]): string[] => groups.flatMap(pick);
  return (
    <div class="filters" role="group" aria-label="Filters">
      {list(
        'tenant',
        of((group) => group.tenants),
      )}
      {list(
        'type',
        of((group) => group.types),
      )}
      {list(
        'host',
        of((group) => group.hosts),
      )}
      {list(
        'reason',
        of((group) => [group.reason]),
      )}
      {list('since', ['15m', '1h', '6h', '24h', '7d'])}
      {filters.length > 0 && (
        <a class="button" href="dead">
          Show all
        </a>
      )}
    </div>
  );
}

function Chosen({ group, again }: { group: Group; again: () => void }) {
  const hosts = useData('hosts-for-dead', (signal) => all<{ name: string; state: string }>('v1/hosts', 1000, signal));
  const ids = group.jobs.map((job) => job.id),
    live = hosts.value?.items.filter((host) => host.state === 'live').length ?? 0;
  return (
    <section class="card failed" aria-labelledby="kind">
      <h2 id="kind">{many(group.jobs.length, 'job')} that failed like this</h2>
      <p class="big">
        <code>{group.text}</code>
      </p>
      <p class="dim">
        {group.reason}, of {group.types.join(', ')};{' '}
        {group.hosts.length === 1 && live > 1 ? (
          <b>all on host {group.hosts[0]}: look at that host</b>
        ) : (
          `on ${many(group.hosts.length, 'host')}: ${few(group.hosts)}`
        )}
        ; first <Ago of={group.first} />, newest <Ago of={group.last} />.
      </p>
      {can('submitter') && (
        <div class="actions">
          <button type="button" class="primary" onClick={() => askIds('redrive', ids, again)}>
            Redrive these {num(ids.length)}…
          </button>
          <button type="button" onClick={() => askIds('dismiss', ids, again)}>
            Dismiss these {num(ids.length)}…
          </button>
          <Copy text={ids.join('\n')} label="Copy ids" />
        </div>
      )}
      <Table rows={group.jobs.slice(0, 10)} keyOf={(job) => job.id} columns={JOBS} />
      {group.jobs.length > 10 && <p class="dim">The newest 10.</p>}
    </section>
  );
}
