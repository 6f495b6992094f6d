// SPDX-License-Identifier: Apache-2.0
// Keys for those who know them. Single letters can be turned off, and do nothing where one writes.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { go, path } from './route';
import { letters } from './settings';

const help = signal(false);
const GO: Record<string, string> = {
  o: '',
  j: 'jobs',
  b: 'batches',
  d: 'dead',
  h: 'hosts',
  a: 'scaler',
  p: 'packages',
  w: 'webhooks',
  t: 'tenants',
  s: 'settings',
};
const KEYS: [string, string][] = [
  ['/', 'search'],
  ['g o', 'go to the overview'],
  ['g j', 'jobs'],
  ['g b', 'batches'],
  ['g d', 'dead letters'],
  ['g h', 'hosts'],
  ['g a', 'autoscaler'],
  ['g s', 'settings'],
  ['j  k  ↓  ↑', 'next and previous row'],
  ['x', 'select the row'],
  ['Enter', 'open the row'],
  ['r', 'redrive what is selected, or the job'],
  ['Esc', 'back, clear, close'],
  ['?', 'this list'],
];

const writes = (target: EventTarget | null): boolean =>
  target instanceof Element && target.matches('input:not([type=checkbox]),select,textarea,[contenteditable]');

export function useKeys(): void {
  useEffect(() => {
    let chord = 0;
    const press = (event: KeyboardEvent): void => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.defaultPrevented ||
        writes(event.target) ||
        document.querySelector('dialog[open]')
      )
        return;
      if (letters.value === 'off' && event.key !== 'Escape') return;
      if (event.key === '?') help.value = true;
      else if (event.key === '/') {
        event.preventDefault();
        if (!document.getElementById('search')) go('jobs');
        const focus = (left: number): void => {
          const box = document.getElementById('search');
          if (box) box.focus();
          else if (left) setTimeout(() => focus(left - 1), 50);
        };
        focus(40);
      } else if (event.key === 'Escape' && path.value.length > 1) history.back();
    };
    // g and a letter, before any page sees the letter.
    const begin = (event: KeyboardEvent): void => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        writes(event.target) ||
        letters.value === 'off' ||
        document.querySelector('dialog[open]')
      )
        return;
      const second = Date.now() - chord < 1200 && event.key in GO;
      chord = event.key === 'g' ? Date.now() : 0;
      if (!second) return;
      event.preventDefault();
      event.stopPropagation();
      go(GO[event.key]);
    };
    addEventListener('keydown', begin, true);
    addEventListener('keydown', press);
    return () => {
      removeEventListener('keydown', begin, true);
      removeEventListener('keydown', press);
    };
  }, []);
}

/** A key of one page alone. */
export function useKey(key: string, act: () => void): void {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (
        event.key !== key ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.defaultPrevented ||
        writes(event.target) ||
        document.querySelector('dialog[open]')
      )
        return;
      if (key.length === 1 && letters.value === 'off') return;
      event.preventDefault();
      latest.current();
    };
    // Before those of the shell.
    addEventListener('keydown', press, true);
    return () => removeEventListener('keydown', press, true);
  }, [key]);
}

export const lettersOn = (): boolean => letters.value === 'on';

export function Help() {
  return help.value ? <Keys /> : null;
}

function Keys() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current!.showModal();
    return () => before?.focus();
  }, []);
  const close = (): void => {
    box.current?.close();
    help.value = false;
  };
  return (
    <dialog ref={box} aria-labelledby="keys-title" onCancel={close}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, does]) => (
          <div key={key}>
            <dt>
              {key.split(/ +/).map((k) => (
                <kbd key={k}>{k}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p class="dim">Single letters can be turned off in the settings.</p>
      <p class="buttons">
        <button type="button" onClick={close}>
          Close
        </button>
      </p>
    </dialog>
  );
}
