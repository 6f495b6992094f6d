// SPDX-License-Identifier: Apache-2.0
// Who shares the fleet and how, and the tokens by which people and programs come in.
import { useState } from 'preact/hooks';
import { all, enc, type Problem, send, type Tenant, type Token } from '../api';
import { problemFrom, useData } from '../data';
import { gap } from '../live';
import { ask } from '../parts/ask';
import { Ago, Command, Copy, Head, Part, Trouble, useTitle } from '../parts/basic';
import { type Column, Table } from '../parts/table';
import { word } from '../search';
import { can } from '../session';
import { many, num, size } from '../time';

const limit = (n: number): string => (n ? num(n) : 'none');
const tenantColumns = (edited: string | undefined, setEdited: (name?: string) => void): Column<Tenant>[] => [
  {
    name: 'Tenant',
    of: (one) => (
      <a href={'jobs?q=' + enc('tenant:' + one.name)}>
        <b>{one.name}</b>
      </a>
    ),
  },
  { name: 'Weight', right: true, of: (one) => one.weight },
  { name: 'At a time', right: true, of: (one) => limit(one.maxRunning) },
  { name: 'Queued at most', right: true, of: (one) => limit(one.maxQueued) },
  { name: 'Memory a job', right: true, of: (one) => (one.maxMemoryPerJob ? size(one.maxMemoryPerJob) : 'none') },
  { name: 'Keeps', right: true, of: (one) => one.keepFinished ?? 'as the hub' },
  {
    name: 'Actions',
    kind: 'buttons',
    of: (one) =>
      can('operator') && (
        <button
          type="button"
          class="small"
          aria-expanded={edited === one.name}
          aria-label={`Change ${one.name}`}
          onClick={() => setEdited(edited === one.name ? undefined : one.name)}
        >
          Change
        </button>
      ),
  },
];

const tokenColumns = (remove: (one: Token) => void): Column<Token>[] => [
  { name: 'Token', of: (one) => <b>{one.name}</b> },
  { name: 'May', of: (one) => one.roles.join(', ') },
  { name: 'For', of: (one) => one.tenants.join(', ') || 'all tenants' },
  { name: 'Made', right: true, kind: 'dim', of: (one) => <Ago of={one.createdAt} /> },
  { name: 'Expires', right: true, of: (one) => (one.expires ? <Ago of={one.expires} /> : 'never') },
  {
    name: 'Actions',
    kind: 'buttons',
    of: (one) => (
      <button type="button" class="small danger" aria-label={`Withdraw ${one.name}`} onClick={() => remove(one)}>
        Withdraw…
      </button>
    ),
  },
];

export default function Tenants() {
  useTitle('Tenants and tokens');
  const data = useData('tenants' + gap.value, (signal) => all<Tenant>('v1/tenants', 5000, signal), 15e3),
    [edited, setEdited] = useState<string>();
  return (
    <section>
      <Head title="Tenants and tokens" note={data.value && many(data.value.items.length, 'tenant')} />
      <section class="card" aria-labelledby="tenants">
        <h2 id="tenants">Tenants</h2>
        <Part data={data}>
          {(page) => (
            <Table
              rows={page.items}
              keyOf={(one) => one.name}
              columns={tenantColumns(edited, setEdited)}
              empty="None is known yet. One becomes known with its first job, or when its share is set."
            />
          )}
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
      <Part data={data}>{(page) => <Table rows={page.items} keyOf={(one) => one.id} columns={tokenColumns(remove)} />}</Part>
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
