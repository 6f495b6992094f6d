// SPDX-License-Identifier: Apache-2.0
// Who one is, how the page looks, and what the hub says of itself.
import type { Signal } from '@preact/signals';
import { type Info, get, type Problem } from '../api';
import { problemFrom, useData } from '../data';
import { useState } from 'preact/hooks';
import { Ago, Command, Head, Pairs, Part, Trouble, useTitle } from '../parts/basic';
import { caller, logOut } from '../session';
import { letters, theme, zone } from '../settings';
import { at, num, size } from '../time';

function Choice<T extends string>({ of, name, values }: { of: Signal<T>; name: string; values: [T, string][] }) {
  return (
    <label>
      {name}{' '}
      <select
        value={of.value}
        onChange={(event) => {
          of.value = event.currentTarget.value as T;
        }}
      >
        {values.map(([value, says]) => (
          <option key={value} value={value}>
            {says}
          </option>
        ))}
      </select>
    </label>
  );
}

export default function Settings() {
  useTitle('Settings');
  const info = useData('info', (signal) => get<Info>('v1/info', signal), 15e3),
    [problem, setProblem] = useState<Problem>(),
    me = caller.value!;
  return (
    <section>
      <Head title="Settings" />
      <section class="card" aria-labelledby="you">
        <h2 id="you">You</h2>
        <Pairs
          of={[
            ['Token', me.name],
            ['May', me.roles.join(', ')],
            ['For', me.tenants.join(', ') || 'all tenants'],
            ['Jobs without a tenant are of', me.tenant],
          ]}
        />
        <p class="actions">
          <button type="button" onClick={() => logOut().catch((error) => setProblem(problemFrom(error)))}>
            Log out
          </button>
          <a class="button" href="login">
            Log in as somebody else
          </a>
        </p>
        {problem && <Trouble problem={problem} />}
      </section>
      <section class="card" aria-labelledby="page">
        <h2 id="page">This page</h2>
        <div class="form">
          <Choice
            of={theme}
            name="Theme"
            values={[
              ['system', 'as the system'],
              ['light', 'light'],
              ['dark', 'dark'],
            ]}
          />
          <Choice
            of={zone}
            name="Times"
            values={[
              ['local', 'of this place'],
              ['utc', 'UTC'],
            ]}
          />
          <Choice
            of={letters}
            name="Keys of a single letter"
            values={[
              ['on', 'on'],
              ['off', 'off'],
            ]}
          />
        </div>
        <p class="dim">Kept in this browser. ? shows the keys.</p>
      </section>
      <section class="card" aria-labelledby="hub">
        <h2 id="hub">The hub</h2>
        <Part data={info}>
          {(said) => (
            <>
              <Pairs
                of={[
                  ['Version', said.version],
                  ['Started', <Ago of={said.startedAt} />],
                  ['Its clock', at(said.now) + apart(said.now)],
                  ['Store', said.store.kind],
                  ['Store’s file', said.store.path],
                  ['Store’s size', said.store.sizeBytes !== undefined ? size(said.store.sizeBytes) : ''],
                  ['A commit takes', said.store.meanCommitMs !== undefined ? `${said.store.meanCommitMs.toFixed(1)} ms, on average` : ''],
                  ['Data', said.dataDirectory],
                  [
                    'Events to',
                    said.amqp &&
                      `${said.amqp.target}: ${said.amqp.connected ? `connected, ${num(said.amqp.behind)} behind` : (said.amqp.error ?? 'not connected')}`,
                  ],
                ]}
              />
              <Command line="geres doctor" />
            </>
          )}
        </Part>
        <p>
          <a href="openapi.yaml" target="_blank">
            Its API
          </a>{' '}
          ·{' '}
          <a href="errors" target="_blank">
            What its errors mean
          </a>
        </p>
      </section>
      <section class="card" aria-labelledby="licences">
        <h2 id="licences">Licences</h2>
        <p>GeRes: Apache-2.0. This page contains Preact and its signals (MIT) and uPlot (MIT).</p>
      </section>
    </section>
  );
}

/** Where the two clocks differ enough to make ages wrong. */
function apart(now: string): string {
  const off = Math.round((Date.now() - Date.parse(now)) / 1e3);
  return Math.abs(off) > 30
    ? ` (this browser’s is ${num(Math.abs(off))} s ${off > 0 ? 'ahead' : 'behind'}: ages here are off by as much)`
    : '';
}
