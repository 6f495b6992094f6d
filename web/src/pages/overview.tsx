// SPDX-License-Identifier: Apache-2.0
// One look: what needs somebody, how much waits and runs, and what fails.
import { get, type Job, type Page, type Status } from '../api';
import { useData } from '../data';
import { FIELDS, few, type Group, groupsOf, nameOf } from '../groups';
import { gap, status, useWatch } from '../live';
import { Ago, Empty, Head, Part, Skeleton, Trouble, useTitle } from '../parts/basic';
import { caller } from '../session';
import { many, now, num, short, span } from '../time';
import { Needs } from '../parts/needs';
import { type Column, Table } from '../parts/table';

export default function Overview() {
  useTitle('Overview');
  useWatch({ status: true });
  const first = useData(`status${gap.value}`, (signal) => get<Status>('v1/status', signal));
  const s = status.value ?? first.value;
  const dead = useData(
    `dead${gap.value}`,
    (signal) => get<Page<Job>>('v1/jobs?state=failed&open=true&limit=500&fields=' + FIELDS, signal),
    10e3,
  );
  return (
    <section class="overview">
      <Head title="Overview" note={caller.value?.tenants.length ? caller.value.tenants.join(', ') : undefined} />
      {first.problem && <Trouble problem={first.problem} again={first.again} />}
      {s ? <Tiles s={s} /> : !first.problem && <Skeleton rows={2} />}
      <Needs s={s} dead={dead.value?.items} />
      <section class="card" aria-labelledby="fails">
        <h2 id="fails">What fails</h2>
        <Part data={dead} rows={3}>
          {(page) => <Fails groups={groupsOf(page.items)} more={page.next !== undefined} read={page.items.length} />}
        </Part>
      </section>
    </section>
  );
}

function Tiles({ s }: { s: Status }) {
  const waiting = s.jobs.ready + s.jobs.blocked,
    ends = s.lastHour.finished + s.lastHour.failed,
    open = Object.values(s.failed).reduce((a, b) => a + b, 0);
  return (
    <div class="tiles">
      <Tile
        to="jobs?q=state:ready,blocked"
        name="Waiting"
        value={short(waiting)}
        note={s.oldestWaiting ? `oldest for ${span(now.value - Date.parse(s.oldestWaiting.since))}` : 'nothing waits'}
      />
      <Tile
        to="jobs?q=state:running,leased"
        name="Running"
        value={short(s.jobs.running + s.jobs.leased)}
        note={`${num(s.hosts.busy)} of ${many(s.hosts.slots, 'slot')} on ${many(s.hosts.live, 'host')}`}
      />
      <Tile to="jobs?q=state:scheduled" name="Scheduled" value={short(s.jobs.scheduled)} note="for later, or another try" />
      <Tile to="jobs?q=state:finished" name="Finished" value={short(s.lastHour.finished)} note="in the last hour" />
      <Tile
        to="dead"
        name="Dead letters"
        value={short(open)}
        bad={open > 0}
        note={
          s.lastHour.failed
            ? `${num(s.lastHour.failed)} in the last hour, ${((100 * s.lastHour.failed) / ends).toFixed(1)} % of ends`
            : 'none in the last hour'
        }
      />
    </div>
  );
}

const Tile = ({ to, name, value, note, bad }: { to: string; name: string; value: string; note: string; bad?: boolean }) => (
  <a class={'card tile' + (bad ? ' bad' : '')} href={to}>
    <h2>{name}</h2>
    <b>{value}</b>
    <small>{note}</small>
  </a>
);

const FAILS: Column<Group>[] = [
  {
    name: 'First line of the error',
    kind: 'text',
    of: (group) => (
      <a href={'dead?group=' + nameOf(group.key)}>
        <code>{group.text}</code>
      </a>
    ),
  },
  { name: 'Reason', of: (group) => group.reason },
  { name: 'Types', kind: 'dim', of: (group) => few(group.types) },
  { name: 'Hosts', kind: 'dim', of: (group) => few(group.hosts) },
  { name: 'Newest', right: true, kind: 'dim', of: (group) => <Ago of={group.last} /> },
  { name: 'Jobs', right: true, of: (group) => <b>{num(group.jobs.length)}</b> },
];

function Fails({ groups, more, read }: { groups: Group[]; more: boolean; read: number }) {
  if (!groups.length) return <Empty>No dead letters.</Empty>;
  return (
    <>
      <Table rows={groups.slice(0, 8)} keyOf={(group) => group.key} columns={FAILS} />
      <p class="dim">
        {more ? `Of the newest ${num(read)} dead letters. ` : ''}
        <a href="dead">All dead letters</a>
      </p>
    </>
  );
}
