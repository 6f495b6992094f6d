// SPDX-License-Identifier: Apache-2.0
// Whatever changes something goes through here: what will be done and to how many, the command that does the same, then
// the answer or the trouble, in one dialog. The focus goes back to where it was.
import type { ComponentChildren } from 'preact';
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { bulk, type Count, type Operation, type Problem, send } from '../api';
import { problemFrom } from '../data';
import { many, num } from '../time';
import { Command, Pairs, Trouble } from './basic';

export interface Question {
  title: string;
  /** What the button says that does it. */
  verb: string;
  command: string;
  danger?: boolean;
  text?: ComponentChildren;
  /** Counts first: a bulk verb of the hub with its filter, e.g. v1/jobs/redrive. */
  bulk?: { path: string; filter: unknown; noun?: string };
  /** What is done where it is no bulk verb; what it returns is shown. */
  act?: () => Promise<ComponentChildren>;
  done?: () => void;
}

const question = signal<Question | undefined>(undefined);
export const ask = (what: Question): void => {
  question.value = what;
};

export function Asking() {
  const what = question.value;
  return what ? <Dialog key={what.title + what.command} what={what} /> : null;
}

function Dialog({ what }: { what: Question }) {
  const box = useRef<HTMLDialogElement>(null);
  const [count, setCount] = useState<Count>(),
    [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false),
    [operation, setOperation] = useState<Operation>(),
    [said, setSaid] = useState<ComponentChildren>();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null,
      dialog = box.current!;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  useEffect(() => {
    if (!what.bulk) return;
    send<Count>('POST', what.bulk.path + '?dryRun=true', what.bulk.filter).then(setCount, (error) => setProblem(problemFrom(error)));
  }, []);
  const close = (): void => {
    question.value = undefined;
  };
  const go = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      if (what.bulk) {
        const n = await bulk(what.bulk.path, what.bulk.filter, setOperation);
        setSaid(<p role="status">Done: {many(n, what.bulk.noun ?? 'job')}.</p>);
      } else {
        const answer = await what.act!();
        if (answer === undefined) close();
        else setSaid(answer);
      }
      what.done?.();
    } catch (error) {
      setProblem(problemFrom(error));
    }
    setBusy(false);
  };
  const waits = what.bulk && !count,
    none = count?.count === 0;
  return (
    <dialog
      ref={box}
      aria-labelledby="ask-title"
      onCancel={(event) => {
        event.preventDefault();
        if (!busy) close();
      }}
    >
      <h2 id="ask-title">{what.title}</h2>
      {said ?? (
        <>
          {what.text}
          {what.bulk &&
            (count ? (
              <>
                <p role="status" class="count">
                  {none ? (
                    'Nothing fits.'
                  ) : (
                    <>
                      <b>{num(count.count)}</b> {count.count === 1 ? (what.bulk.noun ?? 'job') : (what.bulk.noun ?? 'job') + 's'}
                    </>
                  )}
                </p>
                {count.byReason && Object.keys(count.byReason).length > 0 && (
                  <Pairs of={Object.entries(count.byReason).map(([reason, n]) => [reason, num(n)])} />
                )}
              </>
            ) : (
              !problem && (
                <p role="status" class="dim">
                  Counting…
                </p>
              )
            ))}
          <h3>The same on the command line</h3>
          <Command line={what.command} />
          {operation && (
            <p role="status">
              {operation.of ? (
                <>
                  <progress max={operation.of} value={operation.done} aria-label="Progress" /> {num(operation.done)} of {num(operation.of)}
                </>
              ) : (
                `${num(operation.done)} so far`
              )}
            </p>
          )}
        </>
      )}
      {problem && <Trouble problem={problem} />}
      <p class="buttons">
        <button type="button" onClick={close} disabled={busy}>
          {said ? 'Close' : 'Leave it'}
        </button>
        {!said && (
          <button type="button" class={what.danger ? 'danger' : 'primary'} disabled={busy || waits || none} onClick={() => void go()}>
            {busy ? 'Working…' : count && !none ? `${what.verb} ${num(count.count)}` : what.verb}
          </button>
        )}
      </p>
    </dialog>
  );
}
