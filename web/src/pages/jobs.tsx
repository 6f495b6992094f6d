// SPDX-License-Identifier: Apache-2.0
// All jobs that fit a search. What is in view is followed; what is new is counted and comes in when one asks for it.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { askAll, askIds, canAll, type Verb } from '../actions';
import { get, type Job, type Page, type Problem } from '../api';
import { problemFrom } from '../data';
import { useKey } from '../keys';
import { countAnew, gap, newJobs, useWatch } from '../live';
import { Command, Copy, Empty, Head, Skeleton, Trouble, useTitle } from '../parts/basic';
import { Grid } from '../parts/grid';
import { columnsFor } from '../parts/job_columns';
import { ListChoices, listAt } from '../parts/list_choices';
import { Search } from '../parts/search';
import { go, query } from '../route';
import { fromAddress, parse, print, toFlags, toQuery } from '../search';
import { can } from '../session';
import { many, num } from '../time';
import { useNews, Pills } from '../parts/rows';
import { columns as kept } from '../views';

const FIELDS = 'id,state,tenant,type,name,batchName,attempt,host,error,reason,submittedAt,readyAt,startedAt,finishedAt,version,progress';
const PAGE = 200;
const VERBS: Verb[] = ['redrive', 'cancel', 'dismiss'];

export default function Jobs() {
  useTitle('Jobs');
  const text = fromAddress(query.value),
    found = useMemo(() => parse(text), [text]),
    given = query.value.get('columns')?.split(',');
  const chosen = found.terms.filter((term) => term.key === 'state').flatMap((term) => term.value.split(',')),
    failed = chosen.length === 1 && chosen[0] === 'failed',
    columns = columnsFor(given ?? kept.value, failed);
  const fields = [FIELDS, ...columns.flatMap((column) => column.needs ?? [])].join();
  const [rows, setRows] = useState<Job[]>([]),
    [next, setNext] = useState<string>(),
    [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(true),
    [took, setTook] = useState(0),
    [picked, setPicked] = useState(new Set<string>()),
    [view, setView] = useState<[number, number]>([0, 0]);
  const turn = useRef(0),
    cursors = useRef<{ cursor: string; first: string }[]>([]),
    rounds = useRef(0);

  const read = useCallback(
    async (cursor: string): Promise<void> => {
      const mine = cursor ? turn.current : ++turn.current,
        begun = performance.now();
      setBusy(true);
      try {
        const page = await readPage(text, fields, cursor);
        if (mine !== turn.current) return;
        if (!cursor) {
          cursors.current = [];
          countAnew();
          rounds.current++;
        }
        cursors.current.push({ cursor, first: page.items[0]?.id ?? '' });
        setRows((old) => (cursor ? [...old, ...page.items] : page.items));
        setNext(page.next);
        setProblem(undefined);
        setTook(performance.now() - begun);
      } catch (error) {
        if (mine === turn.current) setProblem(problemFrom(error));
      }
      if (mine === turn.current) setBusy(false);
    },
    [text, fields],
  );

  useEffect(() => {
    setPicked(new Set());
    setRows([]);
    setNext(undefined);
    setProblem(undefined);
    if (found.trouble) {
      turn.current++;
      setBusy(false);
    } else void read('');
  }, [text, fields]);
  useEffect(() => {
    if (next !== undefined && !busy && !problem && view[1] > rows.length - 60) void read(next);
  }, [view[1], next, busy, problem]);
  // Hub away: try again by itself.
  useEffect(() => {
    if (!problem || (problem.status !== 0 && problem.status < 502)) return;
    const timer = setTimeout(() => void read(rows.length ? (next ?? '') : ''), 2000);
    return () => clearTimeout(timer);
  }, [problem]);

  const take = useNews(setRows, picked.size === 0);
  const following = picked.size
    ? []
    : rows
        .slice(view[0], view[1])
        .filter((job) => !['finished', 'failed', 'cancelled'].includes(job.state))
        .slice(0, 100)
        .map((job) => job.id);
  useWatch({ status: true, newJobs: true, jobs: following }, take);
  // After a gap what is in view is read again, and stays where it is.
  useEffect(() => {
    if (!rounds.current) return;
    let first = 0;
    for (const [i, page] of cursors.current.entries()) if (rows.findIndex((job) => job.id === page.first) <= view[0]) first = i;
    const page = cursors.current[first];
    if (page)
      readPage(text, fields, page.cursor).then(
        (fresh) => fresh.items.forEach(take),
        () => {},
      );
  }, [gap.value]);

  const others = found.terms.filter((term) => term.key !== 'state'),
    search = (line: string): void => go(listAt(line, given));
  const allFit = (verb: Verb): void => askAll(verb, found.terms, () => setPicked(new Set()));
  const selected = (verb: Verb): void => {
    if (picked.size) askIds(verb, [...picked], () => setPicked(new Set()));
  };
  useKey('r', () => {
    if (can('submitter')) selected('redrive');
  });
  const known = { type: names(rows, 'type'), tenant: names(rows, 'tenant'), host: names(rows, 'host'), batch: names(rows, 'batchName') };
  const of = picked.size ? [...new Set(rows.filter((job) => picked.has(job.id)).map((job) => job.state as string))] : [];
  const fresh = newJobs.value,
    bare = found.terms.length === 0;
  return (
    <section class="jobs">
      <Head
        title="Jobs"
        note={
          problem || found.trouble
            ? ''
            : busy && !rows.length
              ? 'Reading…'
              : `${many(rows.length, 'job')}${next !== undefined ? ', more below' : ''} · ${took.toFixed(0)} ms`
        }
      />
      <Search text={text} found={found} known={known} onSend={search} />
      <div class="above-list">
        <Pills
          chosen={chosen}
          others={others.map((term) => [term.key, term.value])}
          onPick={(state) => search(print([...others, ...(state ? [{ key: 'state', value: state }] : [])]))}
        />
        <ListChoices search={text} given={given} failed={failed} />
      </div>
      {problem && <Trouble problem={problem} again={() => void read(rows.length ? (next ?? '') : '')} />}
      <div class="bulk" role="region" aria-label="What to do">
        {picked.size > 0 ? (
          <>
            <b role="status">{many(picked.size, 'job')} selected</b>
            {VERBS.filter((verb) => fits(verb, of)).map((verb) => (
              <button type="button" key={verb} onClick={() => selected(verb)}>
                {verb[0].toUpperCase() + verb.slice(1)}
              </button>
            ))}
            <Copy text={[...picked].join('\n')} label="Copy ids" />
            <button type="button" onClick={() => setPicked(new Set())}>
              Clear
            </button>
          </>
        ) : (
          can('submitter') &&
          rows.length > 0 &&
          !bare && (
            <>
              <span class="dim">All that fit:</span>
              {VERBS.filter((verb) => canAll(verb, found.terms) && fits(verb, chosen)).map((verb) => (
                <button type="button" key={verb} onClick={() => allFit(verb)}>
                  {verb === 'redrive' ? 'Redrive all…' : verb === 'cancel' ? 'Cancel all…' : 'Dismiss all…'}
                </button>
              ))}
            </>
          )
        )}
        <span class="grow" />
        {picked.size === 0 && <Command line={'geres job list' + toFlags(found.terms)} />}
        <button type="button" class="fresh" hidden={!fresh} onClick={() => void read('')}>
          ↑ {num(fresh)} new{bare ? '' : ', look again'}
        </button>
      </div>
      {busy && !rows.length ? (
        <Skeleton rows={10} />
      ) : rows.length > 0 ? (
        <Grid
          key={text + rounds.current}
          rows={rows}
          more={next !== undefined}
          busy={busy}
          columns={columns}
          picked={picked}
          selectable={can('submitter')}
          onView={(first, last) => setView([first, last])}
          onPick={(ids, on) =>
            setPicked((old) => {
              const set = new Set(old);
              for (const id of ids) on ? set.add(id) : set.delete(id);
              return set;
            })
          }
        />
      ) : (
        !problem &&
        !found.trouble && (
          <Empty>
            {bare ? (
              <>
                No jobs yet. Hand one in: <Command line="geres run echo hello" />
              </>
            ) : (
              <p>
                No job fits. <a href="jobs">Show all</a>
              </p>
            )}
          </Empty>
        )
      )}
    </section>
  );
}

const fits = (verb: Verb, states: string[]): boolean =>
  states.length === 0 ||
  (verb === 'cancel'
    ? states.some((s) => !['finished', 'failed', 'cancelled'].includes(s))
    : verb === 'dismiss'
      ? states.includes('failed')
      : states.some((s) => ['finished', 'failed', 'cancelled'].includes(s)));

function readPage(text: string, fields: string, cursor: string): Promise<Page<Job>> {
  const query = toQuery(parse(text).terms);
  query.set('fields', fields);
  query.set('limit', String(PAGE));
  if (cursor) query.set('cursor', cursor);
  return get<Page<Job>>('v1/jobs?' + query);
}

const names = (rows: Job[], key: 'type' | 'tenant' | 'host' | 'batchName'): string[] =>
  [
    ...new Set(
      rows
        .slice(0, 1000)
        .map((job) => job[key])
        .filter((name): name is string => !!name),
    ),
  ].sort();
