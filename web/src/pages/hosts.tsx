// SPDX-License-Identifier: Apache-2.0
// The machines that run jobs, those with trouble first.
import { useEffect } from 'preact/hooks';
import { all, enc, type Host, send } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { ask } from '../parts/ask';
import { Ago, Command, Due, Empty, Head, Part, Pairs, shortId, State, useTitle } from '../parts/basic';
import { query, withQuery } from '../route';
import { word } from '../search';
import { can } from '../session';
import { many, num, size } from '../time';

/** What is wrong with a host, worst first; '' if nothing is. */
export function stateOf(host: Host): string {
  if (host.state === 'lost') return 'lost';
  if (host.health && host.health.state !== 'well') return host.health.state;
  return host.mode === 'drain' ? 'draining' : host.mode === 'stop' ? 'stopping' : 'well';
}
const ORDER = ['lost', 'unfit', 'resting', 'stopping', 'draining', 'well'];

export default function Hosts() {
  useTitle('Hosts');
  const data = useData('hosts' + gap.value, (signal) => all<Host>('v1/hosts', 2000, signal), 3000),
    asked = query.value.get('host');
  const hosts = [...(data.value?.items ?? [])].sort(
    (a, b) => ORDER.indexOf(stateOf(a)) - ORDER.indexOf(stateOf(b)) || b.busy / b.slots - a.busy / a.slots || a.name.localeCompare(b.name),
  );
  const sick = hosts.filter((host) => stateOf(host) !== 'well'),
    slots = hosts.reduce((sum, host) => sum + host.slots, 0),
    busy = hosts.reduce((sum, host) => sum + host.busy, 0);
  const only = query.value.get('show') === 'trouble',
    shown = only ? sick : hosts;
  useEffect(() => {
    if (asked) document.getElementById('host-' + asked)?.scrollIntoView({ block: 'nearest' });
  }, [asked, !!data.value]);
  return (
    <section>
      <Head
        title="Hosts"
        note={
          data.value &&
          `${many(hosts.length, 'host')}, ${num(busy)} of ${many(slots, 'slot')} busy${sick.length ? `, ${num(sick.length)} not well` : ''}${data.value.more ? ' (the first 2,000)' : ''}`
        }
      />
      {sick.length > 0 && (
        <div class="pills filters" role="group" aria-label="Which">
          <a class="button" aria-current={only ? undefined : 'true'} href={withQuery({ show: undefined })}>
            All
          </a>
          <a class="button" aria-current={only ? 'true' : undefined} href={withQuery({ show: 'trouble' })}>
            Not well {num(sick.length)}
          </a>
        </div>
      )}
      <Part data={data} rows={6}>
        {() =>
          shown.length ? (
            <div class="cards">
              {shown.map((host) => (
                <One key={host.id} host={host} marked={host.name === asked || host.id === asked} again={data.again} />
              ))}
            </div>
          ) : (
            <Empty>
              {only ? (
                'All hosts are well.'
              ) : (
                <>
                  No host has joined. On a machine that is to run jobs: <Command line="geres host --hub URL --slots 4" />
                </>
              )}
            </Empty>
          )
        }
      </Part>
      <Command line="geres hosts" />
    </section>
  );
}

function One({ host, marked, again }: { host: Host; marked: boolean; again: () => void }) {
  const state = stateOf(host),
    move = (verb: 'drain' | 'resume'): void =>
      ask({
        title: verb === 'drain' ? `Drain host ${host.name}?` : `Have host ${host.name} take jobs again?`,
        verb: verb === 'drain' ? 'Drain' : 'Resume',
        command: `geres hosts ${verb} ${word(host.name)}`,
        text: (
          <p>
            {verb === 'drain'
              ? `It goes on with ${host.busy ? 'what it runs' : 'nothing'} and starts nothing new.`
              : 'It is granted jobs like any other.'}
          </p>
        ),
        done: again,
        act: async () => {
          await send('POST', `v1/hosts/${enc(host.id)}/${verb}`);
          return undefined;
        },
      });
  return (
    <article class={'card' + (marked ? ' marked' : '')} id={'host-' + host.name} aria-labelledby={'name-' + host.id}>
      <h2 id={'name-' + host.id}>
        {host.name} <State of={state} />
      </h2>
      {host.health?.reason && (
        <p class="trouble">
          {host.health.reason}
          {host.health.nextTestAt && (
            <>
              {' '}
              Next test <Due of={host.health.nextTestAt} />.
            </>
          )}
        </p>
      )}
      {host.state === 'lost' && (
        <p class="trouble">
          No word of it since <Ago of={host.lastReportAt} />. Its jobs go to others when their leases are over.
        </p>
      )}
      {host.mode !== 'run' && (
        <p class="dim">
          {host.mode === 'drain' ? 'Draining' : 'Stopping'}
          {host.by && `, by ${host.by === 'scaler' ? 'the autoscaler' : 'an operator'}`}
          {host.why && `: ${host.why}`}
        </p>
      )}
      <p>
        <span class="bar" role="img" aria-label={`${host.busy} of ${host.slots} slots busy`}>
          {host.busy > 0 && <i class="running" style={{ flex: host.busy }} />}
          {host.slots > host.busy && <i style={{ flex: host.slots - host.busy }} />}
        </span>
        {num(host.busy)} of {many(host.slots, 'slot')} busy
      </p>
      <Pairs
        of={[
          ['Memory', size(host.memory)],
          ['Last report', <Ago of={host.lastReportAt} />],
          ['Joined', <Ago of={host.joinedAt} />],
          ['Jobs are', [host.containment, host.isolation].filter(Boolean).join(', ')],
          [
            'Labels',
            Object.entries(host.labels)
              .map(([key, value]) => `${key}=${value}`)
              .join(', '),
          ],
          ['Only types', host.types?.join(', ')],
          ['Only tenants', host.tenants?.join(', ')],
          ['Machine', host.instance && `${host.pool}/${host.instance}`],
          ['Address', host.address],
        ]}
      />
      {host.running.length > 0 && (
        <details>
          <summary>{many(host.running.length, 'job')} on it</summary>
          <ul class="plain running-list">
            {host.running.map((id) => (
              <li key={id}>
                <a href={'jobs/' + id}>{shortId(id)}</a>
              </li>
            ))}
          </ul>
        </details>
      )}
      <p class="actions">
        <a class="button" href={`jobs?q=${enc(`host:${host.name} state:failed`)}`}>
          Failed on it
        </a>
        {can('operator') &&
          (host.mode === 'run' ? (
            <button type="button" onClick={() => move('drain')}>
              Drain…
            </button>
          ) : (
            host.mode === 'drain' && (
              <button type="button" onClick={() => move('resume')}>
                Resume…
              </button>
            )
          ))}
      </p>
    </article>
  );
}
