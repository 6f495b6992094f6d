// SPDX-License-Identifier: Apache-2.0
// Who shares the fleet and how, and the tokens by which people and programs come in.
import { useState } from 'preact/hooks';
import { all, enc, type Problem, send, type Tenant, type Token } from '../api';
import { problemFrom, useData } from '../data';
import { gap } from '../live';
import { ask } from '../parts/ask';
import { Ago, Command, Copy, Empty, Head, Part, Trouble, useTitle } from '../parts/basic';
import { word } from '../search';
import { can } from '../session';
import { many, num, size } from '../time';

export default function Tenants() {
  useTitle('Tenants and tokens');
  const data = useData('tenants' + gap.value, (signal) => all<Tenant>('v1/tenants', 5000, signal), 15e3),
    [edited, setEdited] = useState<string>();
  const limit = (n: number): string => (n ? num(n) : 'none');
  return (
    <section>
      <Head title="Tenants and tokens" note={data.value && many(data.value.items.length, 'tenant')} />
      <section class="card" aria-labelledby="tenants">
        <h2 id="tenants">Tenants</h2>
        <Part data={data}>
          {(page) =>
            page.items.length === 0 ? (
              <Empty>None is known yet. One becomes known with its first job, or when its share is set.</Empty>
            ) : (
              <table class="stack">
                <thead>
                  <tr>
                    <th scope="col">Tenant</th>
                    <th scope="col" class="r">
                      Weight
                    </th>
                    <th scope="col" class="r">
                      At a time
                    </th>
                    <th scope="col" class="r">
                      Queued at most
                    </th>
                    <th scope="col" class="r">
                      Memory a job
                    </th>
                    <th scope="col" class="r">
                      Keeps
                    </th>
                    <th scope="col">
                      <span class="hidden">Actions</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {page.items.map((one) => (
                    <tr key={one.name}>
                      <td>
                        <a href={'jobs?q=' + enc('tenant:' + one.name)}>
                          <b>{one.name}</b>
                        </a>
                      </td>
                      <td data-name="Weight" class="r">
                        {one.weight}
                      </td>
                      <td data-name="At a time" class="r">
                        {limit(one.maxRunning)}
                      </td>
                      <td data-name="Queued at most" class="r">
                        {limit(one.maxQueued)}
                      </td>
                      <td data-name="Memory a job" class="r">
                        {one.maxMemoryPerJob ? size(one.maxMemoryPerJob) : 'none'}
                      </td>
                      <td data-name="Keeps" class="r">
                        {one.keepFinished ?? 'as the hub'}
                      </td>
                      <td class="buttons">
                        {can('operator') && (
                          <button
                            type="button"
                            class="small"
                            aria-expanded={edited === one.name}
                            aria-label={`Change ${one.name}`}
                            onClick={() => setEdited(edited === one.name ? undefined : one.name)}
                          >
                            Change
                          </button>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )
          }
        </Part>
        {edited && data.value && (
          <Change
            key={edited}
            tenant={data.value.items.find((one) => one.name === edited)!}
            done={() => {
              setEdited(undefined);
              data.again();
            }}
          />
        )}
        <Command line="geres tenant list" />
      </section>
      {can('admin') && <Tokens />}
    </section>
  );
}

function Change({ tenant, done }: { tenant: Tenant; done: () => void }) {
  const [weight, setWeight] = useState(String(tenant.weight)),
    [running, setRunning] = useState(String(tenant.maxRunning)),
    [queued, setQueued] = useState(String(tenant.maxQueued));
  return (
    <form
      class="form"
      aria-label={`Change ${tenant.name}`}
      onSubmit={(event) => {
        event.preventDefault();
        ask({
          title: `Change tenant ${tenant.name}?`,
          verb: 'Change',
          command: `geres tenant set ${word(tenant.name)} --weight ${weight} --max-running ${running} --max-queued ${queued}`,
          done,
          text: <p>It counts from the next grant on.</p>,
          act: async () => {
            await send('PUT', `v1/tenants/${enc(tenant.name)}`, { weight: +weight, maxRunning: +running, maxQueued: +queued });
            return undefined;
          },
        });
      }}
    >
      <div class="fields">
        <label>
          Weight{' '}
          <input type="number" step="any" min="0.001" required value={weight} onInput={(event) => setWeight(event.currentTarget.value)} />
        </label>
        <label>
          At a time (0: no limit){' '}
          <input type="number" min={0} required value={running} onInput={(event) => setRunning(event.currentTarget.value)} />
        </label>
        <label>
          Queued at most (0: no limit){' '}
          <input type="number" min={0} required value={queued} onInput={(event) => setQueued(event.currentTarget.value)} />
        </label>
        <button class="primary">Change…</button>
      </div>
    </form>
  );
}

function Tokens() {
  const data = useData('tokens' + gap.value, (signal) => all<Token>('v1/tokens', 5000, signal), 15e3);
  const remove = (one: Token): void =>
    ask({
      title: `Withdraw token ${one.name}?`,
      verb: 'Withdraw',
      danger: true,
      command: `geres token delete ${word(one.name)}`,
      done: data.again,
      text: <p>Whoever uses it is let in no more, and its sessions on this page end.</p>,
      act: async () => {
        await send('DELETE', `v1/tokens/${enc(one.id)}`);
        return undefined;
      },
    });
  return (
    <section class="card" aria-labelledby="tokens">
      <h2 id="tokens">Tokens</h2>
      <Part data={data}>
        {(page) => (
          <table class="stack">
            <thead>
              <tr>
                <th scope="col">Token</th>
                <th scope="col">May</th>
                <th scope="col">For</th>
                <th scope="col" class="r">
                  Made
                </th>
                <th scope="col" class="r">
                  Expires
                </th>
                <th scope="col">
                  <span class="hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {page.items.map((one) => (
                <tr key={one.id}>
                  <td>
                    <b>{one.name}</b>
                  </td>
                  <td data-name="May">{one.roles.join(', ')}</td>
                  <td data-name="For">{one.tenants.join(', ') || 'all tenants'}</td>
                  <td data-name="Made" class="r dim">
                    <Ago of={one.createdAt} />
                  </td>
                  <td data-name="Expires" class="r">
                    {one.expires ? <Ago of={one.expires} /> : 'never'}
                  </td>
                  <td class="buttons">
                    <button type="button" class="small danger" aria-label={`Withdraw ${one.name}`} onClick={() => remove(one)}>
                      Withdraw…
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Part>
      <Make again={data.again} />
      <Command line="geres token list" />
    </section>
  );
}

function Make({ again }: { again: () => void }) {
  const [name, setName] = useState(''),
    [role, setRole] = useState('viewer'),
    [tenants, setTenants] = useState(''),
    [made, setMade] = useState<string>(),
    [problem, setProblem] = useState<Problem>();
  const list = tenants.split(/[\s,]+/).filter(Boolean);
  const make = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      setMade(
        (await send<{ token: string }>('POST', 'v1/tokens', { name, roles: [role], ...(list.length ? { tenants: list } : {}) })).token,
      );
      setProblem(undefined);
      again();
    } catch (error) {
      setMade(undefined);
      setProblem(problemFrom(error));
    }
  };
  return (
    <details>
      <summary>Make a token</summary>
      <form class="form" onSubmit={(event) => void make(event)}>
        <label>
          Name <input required maxLength={63} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          May{' '}
          <select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
            {['viewer', 'submitter', 'operator', 'admin', 'host'].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          Tenants <input placeholder="all" value={tenants} onInput={(event) => setTenants(event.currentTarget.value)} />
        </label>
        <Command
          line={`geres token create ${word(name || 'NAME')} --role ${role}${list.map((one) => ` --tenant ${word(one)}`).join('')}`}
        />
        {problem && <Trouble problem={problem} />}
        {made && (
          <div role="status">
            <p>The token. It is not shown again.</p>
            <p class="command">
              <code>{made}</code>
              <Copy text={made} />
            </p>
          </div>
        )}
        <p>
          <button class="primary">Make it</button>
        </p>
      </form>
    </details>
  );
}
