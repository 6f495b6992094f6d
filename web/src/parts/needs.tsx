// SPDX-License-Identifier: Apache-2.0
// What wants somebody to look at it, the most urgent first.
import type { ComponentChildren } from 'preact';
import { all, type Delivery, enc, get, type Host, type Info, type Job, type Page, type Status, type Webhook, type Why } from '../api';
import { useData } from '../data';
import { groupsOf, nameOf } from '../groups';
import { Ago, Empty, Icon, Skeleton, Trouble } from './basic';
import { seesAll } from '../session';
import { many, now, num, span } from '../time';

const HOURS = 6;

interface Need {
  key: string;
  what: ComponentChildren;
  why?: ComponentChildren;
  to: string;
  link: string;
}

export function Needs({ s, dead }: { s?: Status; dead?: Job[] }) {
  const oldest = s?.oldestWaiting,
    waits = oldest && now.value - Date.parse(oldest.since) > 10e3 ? oldest : undefined;
  const why = useData(
    'why' + (waits?.id ?? ''),
    (signal) => (waits ? get<Why>(`v1/jobs/${enc(waits.id)}/why`, signal) : Promise.resolve(undefined)),
    5e3,
  );
  const sick = s && (s.hosts.lost || s.hosts.resting || s.hosts.draining);
  const hosts = useData(
    'sick' + sick,
    (signal) => (sick ? all<Host>('v1/hosts', 2000, signal).then((page) => page.items) : Promise.resolve([])),
    10e3,
  );
  const hooks = useData('hooks', readDead, 30e3);
  const info = useData('info', (signal) => (seesAll() ? get<Info>('v1/info', signal) : Promise.resolve(undefined)), 30e3);
  const since = now.value - HOURS * 36e5,
    recent = groupsOf((dead ?? []).filter((job) => Date.parse(job.finishedAt ?? '') > since));
  const needs: Need[] = [];
  if (s && !s.takesJobs) needs.push({ key: 'full', what: 'The hub takes no jobs', why: s.why, to: 'settings', link: 'The hub' });
  for (const host of hosts.value ?? []) {
    const trouble =
      host.state === 'lost'
        ? 'lost: no word of it since'
        : host.health && host.health.state !== 'well'
          ? host.health.state
          : host.mode !== 'run'
            ? host.mode === 'drain'
              ? 'draining'
              : 'stopping'
            : '';
    if (trouble)
      needs.push({
        key: host.id,
        what: (
          <>
            Host <b>{host.name}</b> is {trouble} {host.state === 'lost' && <Ago of={host.lastReportAt} />}
          </>
        ),
        why: host.health?.reason ?? host.why,
        to: `hosts?host=${enc(host.name)}`,
        link: 'The host',
      });
  }
  if (s && s.hosts.slots > 0 && s.hosts.busy >= s.hosts.slots && s.jobs.ready > 0)
    needs.push({
      key: 'busy',
      what: `All ${many(s.hosts.slots, 'slot')} are taken`,
      why: `${many(s.jobs.ready, 'job')} ${s.jobs.ready === 1 ? 'waits' : 'wait'} for one to become free.`,
      to: 'hosts',
      link: 'Hosts',
    });
  if (s && s.hosts.slots === 0 && s.jobs.ready > 0)
    needs.push({
      key: 'nohost',
      what: 'No host takes jobs',
      why: `${many(s.jobs.ready, 'job')} ${s.jobs.ready === 1 ? 'waits' : 'wait'}.`,
      to: 'hosts',
      link: 'Hosts',
    });
  if (waits)
    needs.push({
      key: 'oldest',
      what: (
        <>
          A job of type <b>{waits.type}</b> has waited for {span(now.value - Date.parse(waits.since))}, longer than any other
        </>
      ),
      why: why.value?.summary,
      to: 'jobs/' + waits.id,
      link: 'The job',
    });
  for (const group of recent.slice(0, 3))
    needs.push({
      key: group.key,
      what: (
        <>
          <b>{many(group.jobs.length, 'dead letter')}</b> in {HOURS} hours: {group.reason}, newest <Ago of={group.last} />
        </>
      ),
      why: <code>{group.text}</code>,
      to: 'dead?group=' + nameOf(group.key),
      link: 'These',
    });
  if (recent.length > 3)
    needs.push({
      key: 'more',
      what: `${many(recent.length - 3, 'more kind', 'more kinds')} of dead letters in ${HOURS} hours`,
      to: 'dead',
      link: 'All',
    });
  for (const hook of hooks.value ?? [])
    needs.push({
      key: hook.webhook.id,
      what: (
        <>
          Webhook <b>{hook.webhook.name ?? hook.webhook.url ?? 'for jobs'}</b>{' '}
          {hook.webhook.enabled ? (
            <>
              has {many(hook.dead.length, 'dead letter')}
              {hook.more ? ' or more' : ''}
            </>
          ) : (
            'is turned off'
          )}
        </>
      ),
      why: hook.dead[0]?.error ?? hook.webhook.reason,
      to: `webhooks?webhook=${enc(hook.webhook.id)}`,
      link: 'The webhook',
    });
  const amqp = info.value?.amqp;
  if (amqp && (!amqp.connected || amqp.behind > 10000))
    needs.push({
      key: 'amqp',
      what: `Events to ${amqp.target}: ${num(amqp.behind)} behind`,
      why: amqp.error,
      to: 'settings',
      link: 'The hub',
    });
  const troubles = [hosts, hooks, why].filter((part) => part.problem);
  return (
    <section class="card needs" aria-labelledby="needs">
      <h2 id="needs">Needs you</h2>
      {troubles.map((part, i) => (
        <Trouble key={i} problem={part.problem!} again={part.again} />
      ))}
      {!s || !dead ? (
        <Skeleton rows={2} />
      ) : needs.length === 0 ? (
        <Empty>Nothing. Hosts are well, no job has waited long, and none has failed in {HOURS} hours.</Empty>
      ) : (
        <ul>
          {needs.map((need) => (
            <li key={need.key}>
              <Icon of="warning" />
              <div>
                <p>{need.what}</p>
                {need.why && <p class="dim">{need.why}</p>}
              </div>
              <a class="button" href={need.to}>
                {need.link}
              </a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** Webhooks that want looking after. One that tells nobody of its dead letters is passed over here. */
async function readDead(signal: AbortSignal): Promise<{ webhook: Webhook; dead: Delivery[]; more: boolean }[]> {
  const { items } = await all<Webhook>('v1/webhooks', 1000, signal);
  const looked = await Promise.all(
    items.slice(0, 50).map(async (webhook) => {
      const page = await get<Page<Delivery>>(`v1/webhooks/${enc(webhook.id)}/deliveries?limit=20`, signal);
      return { webhook, dead: page.items, more: page.next !== undefined };
    }),
  );
  return looked.filter((one) => one.dead.length || (!one.webhook.enabled && one.webhook.reason));
}
