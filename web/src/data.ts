// SPDX-License-Identifier: Apache-2.0
// Reads something of the hub for a part of the page, and again from time to time while the page is seen and live.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from './api';
import { live } from './settings';

export interface Data<T> {
  value?: T;
  /** Why the newest read failed; `value` then is the one before. */
  problem?: Problem;
  /** How long the newest read took, in milliseconds. */
  took: number;
  again: () => void;
  set: (value: T) => void;
}

export const problemFrom = (error: unknown): Problem =>
  error instanceof Problem
    ? error
    : new Problem(0, 'The page has made a mistake', String(error), 'Load it again. If it happens again, tell whoever runs the hub.');

/** `every` 0: only once, or until the hub answers. A slow hub is asked less often: no more than a tenth of the time. */
export function useData<T>(key: string, read: (signal: AbortSignal) => Promise<T>, every = 0): Data<T> {
  const [state, setState] = useState<{ key: string; value?: T; problem?: Problem; took: number }>({ key, took: 0 });
  const wake = useRef<() => void>(() => {});
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    let stopped = false,
      timer = 0,
      control = new AbortController();
    const step = async (): Promise<void> => {
      clearTimeout(timer);
      control.abort();
      const mine = (control = new AbortController());
      const begun = performance.now();
      let away = false;
      try {
        const value = await latest.current(mine.signal);
        if (!stopped && !mine.signal.aborted) setState({ key, value, took: performance.now() - begun });
      } catch (error) {
        away = error instanceof Problem && (error.status === 0 || error.status >= 502);
        if (!stopped && !mine.signal.aborted)
          setState((old) => ({ key, value: old.key === key ? old.value : undefined, problem: problemFrom(error), took: 0 }));
      }
      if (!stopped && !mine.signal.aborted && (every || away))
        timer = setTimeout(wait, Math.max(away ? 2000 : every, 10 * (performance.now() - begun)));
    };
    const wait = (): void => {
      if (stopped) return;
      if (document.hidden || !live.value) timer = setTimeout(wait, 500);
      else void step();
    };
    wake.current = () => void step();
    void step();
    return () => {
      stopped = true;
      clearTimeout(timer);
      control.abort();
    };
  }, [key, every]);
  const again = useCallback(() => wake.current(), []);
  const set = useCallback((value: T) => setState({ key, value, took: 0 }), [key]);
  return state.key === key ? { ...state, again, set } : { took: 0, again, set };
}
