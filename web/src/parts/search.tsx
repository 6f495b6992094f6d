// SPDX-License-Identifier: Apache-2.0
// The search line: filters as words, with the keys and values that there are offered below.
import { useEffect, useRef, useState } from 'preact/hooks';
import { lettersOn } from '../keys';
import { type Found, KEYS, VALUES } from '../search';
import { Icon } from './basic';

export function Search({
  text: given,
  found,
  known,
  onSend,
}: {
  text: string;
  found: Found;
  known: Record<string, string[]>;
  onSend: (text: string) => void;
}) {
  const [text, setText] = useState(given),
    [open, setOpen] = useState(false),
    [on, setOn] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(given), [given]);
  const word = /\S*$/.exec(text)![0],
    colon = word.indexOf(':'),
    key = word.slice(0, colon),
    part = word.slice(colon + 1);
  const last = part.split(',').at(-1)!,
    before = part.slice(0, part.length - last.length);
  const offers: [string, string][] =
    colon < 0
      ? Object.entries(KEYS)
          .filter(([name]) => name.startsWith(word))
          .map(([name, about]) => [name === 'tag.' ? 'tag.' : name + ':', about])
      : [...new Set([...(VALUES[key] ?? []), ...(known[key] ?? [])])]
          .filter((value) => value.startsWith(last) && value !== last)
          .slice(0, 12)
          .map((value) => [`${key}:${before}${/\s/.test(value) ? `"${value}"` : value}`, '']);
  const shown = open && offers.length > 0;
  const take = (offer: string): void => {
    setText(text.slice(0, text.length - word.length) + offer + (/[:.]$/.test(offer) ? '' : ' '));
    setOn(-1);
    input.current!.focus();
  };
  const send = (): void => {
    setOpen(false);
    onSend(text.trim());
  };
  const keydown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') {
      event.preventDefault();
      if (shown && on >= 0) take(offers[on][0]);
      else send();
    } else if (event.key === 'Tab' && shown && word && !event.shiftKey && on >= 0) {
      event.preventDefault();
      take(offers[on][0]);
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      setOpen(true);
      const step = event.key === 'ArrowDown' ? 1 : -1,
        n = offers.length;
      if (n) setOn((on + step + n + (on < 0 && step < 0 ? 1 : 0)) % n);
    } else if (event.key === 'Escape') {
      event.preventDefault();
      if (shown) setOpen(false);
      else input.current!.blur();
    }
  };
  return (
    <form
      role="search"
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="box">
        <Icon of="search" />
        <input
          id="search"
          ref={input}
          role="combobox"
          aria-label="Search jobs"
          aria-expanded={shown}
          aria-controls="offers"
          aria-autocomplete="list"
          aria-activedescendant={shown && on >= 0 ? 'offer' + on : undefined}
          aria-describedby={found.trouble ? 'search-trouble' : undefined}
          aria-invalid={!!found.trouble}
          placeholder="state:failed type:Thumbnail tag.region:eu since:1h, a name, or an id"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setOpen(true);
            setOn(-1);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={keydown}
        />
        {text ? (
          <button
            type="button"
            class="small"
            aria-label="Clear the search"
            onClick={() => {
              setText('');
              onSend('');
            }}
          >
            Clear
          </button>
        ) : (
          lettersOn() && <kbd aria-hidden="true">/</kbd>
        )}
        <button type="submit" class="small">
          Search
        </button>
      </div>
      {shown && (
        <ul id="offers" role="listbox" aria-label="Filters">
          {offers.map(([offer, about], i) => (
            <li
              key={offer}
              id={'offer' + i}
              role="option"
              aria-selected={i === on}
              onMouseDown={(event) => {
                event.preventDefault();
                take(offer);
              }}
            >
              <b>{offer}</b> <span class="dim">{about}</span>
            </li>
          ))}
        </ul>
      )}
      {found.trouble && (
        <p id="search-trouble" class="trouble" role="alert">
          <Icon of="warning" />
          <b>{found.trouble}</b> {found.hint}
        </p>
      )}
    </form>
  );
}
