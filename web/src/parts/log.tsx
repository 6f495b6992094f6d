// SPDX-License-Identifier: Apache-2.0
// What an attempt wrote: opens at its end, reads backwards as one scrolls, follows while it runs.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Job, Problem } from '../api';
import { problemFrom } from '../data';
import { gap, logSize, useWatch } from '../live';
import { type Piece, RANGE, readAfter, readBefore, readTail, whole } from '../log_source';
import { live } from '../settings';
import { many, size } from '../time';
import { Command, Empty, Icon, Skeleton, Trouble } from './basic';

type Stream = 'stdout' | 'stderr';
const MOST = 4 * 1024 * 1024;

type Tab = Stream | 'both';

export function Log({ job, attempt, running }: { job: Job; attempt: number; running: boolean }) {
  const [tab, setTab] = useState<Tab>(job.state === 'failed' ? 'stderr' : 'stdout');
  const tabs = (
    <div role="group" aria-label="Stream" class="pills">
      {(['stdout', 'stderr', 'both'] as const).map((name) => (
        <button type="button" key={name} aria-pressed={name === tab} onClick={() => setTab(name)}>
          {name}
        </button>
      ))}
    </div>
  );
  const of = { job, attempt, running };
  return (
    <section class="card" aria-labelledby="log">
      <h2 id="log">
        Log <span class="dim">of attempt {attempt}</span>
      </h2>
      {tab === 'both' ? (
        <>
          <div class="logbar">
            {tabs}
            <span class="dim">The hub keeps the two apart and not when each line came: side by side does not mean at the same time.</span>
          </div>
          <div class="twin">
            <div>
              <View {...of} stream="stdout" lead={<h3>stdout</h3>} every={3000} />
            </div>
            <div>
              <View {...of} stream="stderr" lead={<h3>stderr</h3>} every={1000} />
            </div>
          </div>
        </>
      ) : (
        <View key={tab} {...of} stream={tab} lead={tabs} every={3000} />
      )}
    </section>
  );
}

function View({
  job,
  attempt,
  running,
  stream,
  lead,
  every,
}: {
  job: Job;
  attempt: number;
  running: boolean;
  stream: Stream;
  lead: ComponentChildren;
  /** How often it is looked at while it may grow: the hub tells of one stream at a time. */
  every: number;
}) {
  const [pieces, setPieces] = useState<Piece[]>(),
    [problem, setProblem] = useState<Problem>(),
    [follow, setFollow] = useState(true),
    [wrap, setWrap] = useState(true),
    [reading, setReading] = useState(false);
  const box = useRef<HTMLDivElement>(null),
    held = useRef<number | undefined>(undefined),
    busy = useRef(false),
    control = useRef(new AbortController());
  const first = pieces?.[0]?.from ?? 0,
    last = pieces?.at(-1)?.to ?? 0;
  const open = (): void => {
    readTail(job.id, attempt, stream, control.current.signal).then(
      (piece) => {
        setPieces([piece]);
        setProblem(undefined);
      },
      (error) => {
        if (!control.current.signal.aborted) setProblem(problemFrom(error));
      },
    );
  };
  useEffect(() => {
    control.current = new AbortController();
    open();
    return () => control.current.abort();
  }, []);
  useWatch(running && pieces ? { log: { job: job.id, attempt, stream } } : {});
  const more = async (): Promise<void> => {
    if (busy.current || !pieces) return;
    busy.current = true;
    try {
      const piece = await readAfter(job.id, attempt, stream, last, control.current.signal);
      if (piece.to > piece.from) setPieces((old) => [...old!, piece]);
      setProblem(undefined);
    } catch (error) {
      if (!control.current.signal.aborted) setProblem(problemFrom(error));
    }
    busy.current = false;
  };
  // The hub says how long the log is now; and now and then, or when the attempt has ended, we look for ourselves.
  const told = logSize.value,
    size_ = told && told.job === job.id && told.attempt === attempt && told.stream === stream ? told.size : 0;
  useEffect(() => {
    if (pieces && size_ > last) void more();
  }, [size_, last]);
  useEffect(() => {
    if (pieces) void more();
  }, [running, gap.value]);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => {
      if (!document.hidden && live.value) void more();
    }, every);
    return () => clearInterval(timer);
  });
  const back = async (most = RANGE): Promise<Piece[] | undefined> => {
    if (busy.current || !pieces || first === 0) return pieces;
    busy.current = true;
    setReading(true);
    let now = pieces;
    try {
      const piece = await readBefore(job.id, attempt, stream, first, control.current.signal, most);
      held.current = box.current ? box.current.scrollHeight - box.current.scrollTop : undefined;
      now = [piece, ...pieces];
      setPieces((old) => [piece, ...old!]);
    } catch (error) {
      if (!control.current.signal.aborted) setProblem(problemFrom(error));
    }
    busy.current = false;
    setReading(false);
    return now;
  };
  // What is read before keeps what one looks at in its place; what comes after is followed only at the end.
  useLayoutEffect(() => {
    const el = box.current;
    if (!el) return;
    if (held.current !== undefined) {
      el.scrollTop = el.scrollHeight - held.current;
      held.current = undefined;
    } else if (follow) el.scrollTop = el.scrollHeight;
  }, [pieces, wrap]);
  const scrolled = (): void => {
    const el = box.current!,
      end = el.scrollHeight - el.scrollTop - el.clientHeight < 24;
    if (end !== follow) setFollow(end);
    if (el.scrollTop < 200 && first > 0) void back();
  };
  const kept = pieces?.some((piece) => piece.text) ?? false;
  return (
    <>
      <div class="logbar">
        {lead}
        <label>
          <input
            type="checkbox"
            checked={follow}
            onChange={(event) => {
              setFollow(event.currentTarget.checked);
              if (event.currentTarget.checked && box.current) box.current.scrollTop = box.current.scrollHeight;
            }}
          />{' '}
          Follow
        </label>
        <label>
          <input type="checkbox" checked={wrap} onChange={(event) => setWrap(event.currentTarget.checked)} /> Wrap
        </label>
        {kept && <Find box={box} pieces={pieces!} before={first} readAll={() => back(MOST)} />}
        <span class="grow" />
        <a class="button" download={`${job.id}-${attempt}-${stream}.log`} href={whole(job.id, attempt, stream)}>
          Download
        </a>
      </div>
      {problem && <Trouble problem={problem} again={() => (pieces ? void more() : open())} />}
      {!pieces ? (
        !problem && <Skeleton rows={6} />
      ) : !kept ? (
        <Empty>
          Nothing was written to {stream}
          {running ? ' yet' : ''}.
        </Empty>
      ) : (
        <div
          class={'log' + (wrap ? ' wrap' : '') + (running ? ' tall' : '')}
          ref={box}
          tabIndex={0}
          role="log"
          aria-label={stream}
          aria-live="off"
          onScroll={scrolled}
        >
          {first > 0 && (
            <p class="before">
              {reading ? (
                'Reading…'
              ) : (
                <button type="button" class="small" onClick={() => void back()}>
                  {size(first)} before this
                </button>
              )}
            </p>
          )}
          {pieces.map((piece) => (
            <pre key={piece.from}>{piece.text}</pre>
          ))}
        </div>
      )}
      <p class="dim" role="status">
        {kept ? `${size(last)} in all${first ? `, ${size(last - first)} read` : ''}${running ? ', goes on' : ''}` : ''}
      </p>
      <Command line={`geres job log ${job.id} --stream ${stream} --attempt ${attempt}${running ? ' -f' : ''}`} />
    </>
  );
}

/** Looks for a text, from the end backwards, in what is read; the rest of the log is read first, up to a bound. */
function Find({
  box,
  pieces,
  before,
  readAll,
}: {
  box: { current: HTMLDivElement | null };
  pieces: Piece[];
  before: number;
  readAll: () => Promise<Piece[] | undefined>;
}) {
  const [text, setText] = useState(''),
    [said, setSaid] = useState(''),
    place = useRef<{ for: string; hit: number }>({ for: '', hit: 0 });
  const find = async (step: number): Promise<void> => {
    if (!text) return;
    if (before > 0) {
      setSaid('Reading…');
      await readAll();
      await new Promise((done) => requestAnimationFrame(done));
    }
    const hits = box.current ? hitsIn(box.current, text.toLowerCase()) : [];
    if (!hits.length) return setSaid(before > MOST ? `Not in the last ${size(MOST)}` : 'Not found');
    if (place.current.for !== text) place.current = { for: text, hit: hits.length - 1 };
    else place.current.hit = (place.current.hit + step + hits.length) % hits.length;
    const range = hits[place.current.hit],
      selection = getSelection()!;
    selection.removeAllRanges();
    selection.addRange(range);
    const el = box.current!,
      at = range.getBoundingClientRect(),
      frame = el.getBoundingClientRect();
    el.scrollTop += at.top - frame.top - frame.height / 2;
    setSaid(`${hits.length - place.current.hit} of ${many(hits.length, 'hit')}`);
  };
  useEffect(() => setSaid(''), [text, pieces.length === 0]);
  return (
    <form
      class="find"
      onSubmit={(event) => {
        event.preventDefault();
        void find(-1);
      }}
    >
      <input
        type="search"
        aria-label="Find in the log"
        placeholder="Find"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button class="small" aria-label="Find, backwards">
        <Icon of="M6 15l6-6 6 6" />
      </button>
      <button type="button" class="small" aria-label="Find, forwards" onClick={() => void find(1)}>
        <Icon of="M6 9l6 6 6-6" />
      </button>
      <span class="dim" role="status">
        {said}
      </span>
    </form>
  );
}

function hitsIn(box: HTMLElement, text: string): Range[] {
  const hits: Range[] = [];
  for (const pre of box.querySelectorAll('pre')) {
    const node = pre.firstChild,
      all = node?.nodeValue?.toLowerCase() ?? '';
    for (let at = all.indexOf(text); at >= 0 && hits.length < 10000; at = all.indexOf(text, at + text.length)) {
      const range = document.createRange();
      range.setStart(node!, at);
      range.setEnd(node!, at + text.length);
      hits.push(range);
    }
  }
  return hits;
}
