// SPDX-License-Identifier: Apache-2.0
// Small parts that every page is made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../api';
import { connected } from '../live';
import { live } from '../settings';
import { ago, at, due, now } from '../time';

const SHAPES: Record<string, string> = {
  submitted: 'M12 19V6M7 11l5-5 5 5',
  finished: 'M5 12.5l4.5 4.5L19 7.5',
  failed: 'M6 6l12 12M18 6L6 18',
  cancelled: 'M5 12h14',
  running: 'M8 5l11 7-11 7z',
  leased: 'M12 5v9M8 11l4 4 4-4',
  ready: 'M6 12a6 6 0 1 0 12 0a6 6 0 1 0-12 0',
  scheduled: 'M12 7v5l3 2M12 4a8 8 0 1 0 .01 0',
  blocked: 'M7 11h10v8H7zM9 11V8a3 3 0 0 1 6 0v3',
  enabled: 'M5 12.5l4.5 4.5L19 7.5',
  disabled: 'M9 6v12M15 6v12',
  well: 'M5 12.5l4.5 4.5L19 7.5',
  lost: 'M6 6l12 12M18 6L6 18',
  unfit: 'M12 8v5M12 16.5v.5M12 3l9.5 17h-19z',
  resting: 'M12 7v5l3 2M12 4a8 8 0 1 0 .01 0',
  draining: 'M12 5v9M8 11l4 4 4-4',
  warning: 'M12 8v5M12 16.5v.5M12 3l9.5 17h-19z',
  search: 'M10.5 4a6.5 6.5 0 1 0 .01 0M15.5 15.5L21 21',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  paused: 'M9 6v12M15 6v12',
  open: 'M6 12a6 6 0 1 0 12 0a6 6 0 1 0-12 0',
  closed: 'M7 11h10v8H7zM9 11V8a3 3 0 0 1 6 0v3',
};
export const Icon = ({ of }: { of: string }) => (
  <svg class="i" viewBox="0 0 24 24" aria-hidden="true">
    <path d={SHAPES[of] ?? of} />
  </svg>
);
export const State = ({ of }: { of: string }) => (
  <span class={'state is-' + of}>
    <Icon of={of in SHAPES ? of : 'ready'} />
    {of}
  </span>
);

export const Ago = ({ of }: { of?: string }) =>
  of ? (
    <time dateTime={of} title={at(of)}>
      {ago(of, now.value)}
    </time>
  ) : (
    <>–</>
  );

/** When something is to happen, or since when it should have. */
export const Due = ({ of }: { of: string }) => (
  <time dateTime={of} title={at(of)}>
    {due(of, now.value)}
  </time>
);

/** Trouble in its place: what, why, what to do, and what to name when asking for help. */
export function Trouble({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="trouble" role="alert">
      <p>
        <Icon of="warning" />
        <b>{problem.title}</b>
      </p>
      {problem.detail && <p>{problem.detail}</p>}
      {problem.hint && <p class="dim">{problem.hint}</p>}
      <p class="dim">
        {problem.requestId && (
          <>
            Request <code>{problem.requestId}</code>{' '}
          </>
        )}
        {again && (
          <button type="button" onClick={again}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
}

export const Skeleton = ({ rows = 5 }: { rows?: number }) => (
  <div class="skeleton" role="status" aria-label="Loading">
    {Array.from({ length: rows }, (_, i) => (
      <i key={i} />
    ))}
  </div>
);

export const Empty = ({ children }: { children: ComponentChildren }) => <div class="empty">{children}</div>;

/** What a part of a page shows of what it reads: its trouble, that it loads, or what came. */
export function Part<T>({
  data,
  rows,
  children,
}: {
  data: { value?: T; problem?: Problem; again: () => void };
  rows?: number;
  children: (value: T) => ComponentChildren;
}) {
  return (
    <>
      {data.problem && <Trouble problem={data.problem} again={data.again} />}
      {data.value !== undefined ? children(data.value) : !data.problem && <Skeleton rows={rows} />}
    </>
  );
}

export function Head({ title, children, note }: { title: ComponentChildren; note?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <header class="head">
      <h1>{title}</h1>
      <span class="dim note" role="status">
        {note}
      </span>
      <span class="grow" />
      {children}
      <button
        type="button"
        class={'live' + (live.value ? (connected.value === false ? ' off' : ' on') : '')}
        aria-pressed={live.value}
        title="Take what changes as it comes, or stand still"
        onClick={() => {
          live.value = !live.value;
        }}
      >
        <i />
        {!live.value ? 'Paused' : connected.value === false ? 'Reconnecting' : 'Live'}
      </button>
    </header>
  );
}

/** Puts text onto the clipboard and says so. */
export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      byHand(text);
    }
    setDone(true);
  };
  return (
    <button type="button" class="small" aria-label={`${label}: ${text.slice(0, 120)}`} onClick={() => void copy()}>
      <Icon of="copy" />
      {done ? 'Copied' : label}
    </button>
  );
}

// Pages without https have no clipboard of their own.
function byHand(text: string): void {
  const area = document.createElement('textarea');
  area.value = text;
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

/** The command that does or shows the same. */
export const Command = ({ line }: { line: string }) => (
  <p class="command">
    <code>{line}</code>
    <Copy text={line} />
  </p>
);

export function Json({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2) ?? '';
  return (
    <div class="json">
      <pre tabIndex={0} aria-label="JSON">
        {text}
      </pre>
      <Copy text={text} />
    </div>
  );
}

export const Pairs = ({ of }: { of: [string, ComponentChildren][] }) => (
  <dl class="pairs">
    {of
      .filter(([, value]) => value !== undefined && value !== null && value !== '')
      .map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
  </dl>
);

export const Tags = ({ of }: { of?: Record<string, string> }) => {
  const all = Object.entries(of ?? {});
  return all.length ? (
    <span class="tags">
      {all.map(([key, value]) => (
        <a key={key} class="tag" href={'jobs?q=' + encodeURIComponent(`tag.${key}:${/[\s"]/.test(value) ? `"${value}"` : value}`)}>
          {key}={value}
        </a>
      ))}
    </span>
  ) : (
    <>–</>
  );
};

export const shortId = (id: string): string => '…' + id.slice(-8);

/** A page's title in the tab's. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title + ' · GeRes';
  }, [title]);
}
