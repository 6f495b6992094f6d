// SPDX-License-Identifier: Apache-2.0
// The shell around the pages: who is there, the rail, keys, and each page loaded when it is first wanted.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from './api';
import { problemFrom } from './data';
import { Help, useKeys } from './keys';
import { Asking } from './parts/ask';
import { Icon, Skeleton, Trouble } from './parts/basic';
import { Login } from './pages/login';
import { path, where } from './route';
import { begin, caller, can } from './session';

type Load = () => Promise<{ default: ComponentType }>;
interface Entry {
  to: string;
  name: string;
  icon: string;
  load: Load;
  main?: boolean;
  may?: () => boolean;
}
const PAGES: Entry[] = [
  { to: '', name: 'Overview', icon: 'M3 12h4l3-8 4 16 3-8h4', load: () => import('./pages/overview'), main: true },
  { to: 'jobs', name: 'Jobs', icon: 'M4 6h16M4 12h16M4 18h16', load: () => import('./pages/jobs'), main: true },
  { to: 'batches', name: 'Batches', icon: 'M4 4h7v7H4zM13 13h7v7h-7zM13 4h7v7h-7zM4 13h7v7H4z', load: () => import('./pages/batches') },
  { to: 'dead', name: 'Dead letters', icon: 'M12 8v5M12 16.5v.5M12 3l9.5 17h-19z', load: () => import('./pages/dead'), main: true },
  { to: 'hosts', name: 'Hosts', icon: 'M4 5h16v6H4zM4 13h16v6H4zM7 8h.01M7 16h.01', load: () => import('./pages/hosts'), main: true },
  {
    to: 'scaler',
    name: 'Autoscaler',
    icon: 'M4 20V10M10 20V4M16 20v-8M22 20H2',
    load: () => import('./pages/scaler'),
    may: () => can('operator'),
  },
  {
    to: 'packages',
    name: 'Packages',
    icon: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9',
    load: () => import('./pages/packages'),
  },
  { to: 'webhooks', name: 'Webhooks', icon: 'M5 12h12M13 7l5 5-5 5', load: () => import('./pages/webhooks') },
  {
    to: 'tenants',
    name: 'Tenants and tokens',
    icon: 'M8 11a3 3 0 1 0 0-.01M2 20c0-4 3-6 6-6s6 2 6 6M16 11a3 3 0 1 0-1-5.8M17 14c3 0 5 2 5 6',
    load: () => import('./pages/tenants'),
    may: () => can('operator'),
  },
  { to: 'settings', name: 'Settings', icon: 'M4 7h10M18 7h2M4 17h4M12 17h8M16 5v4M10 15v4', load: () => import('./pages/settings') },
];
const JOB: Load = () => import('./pages/job');

/** A page's code, kept once it has come. */
const loaded = new Map<Load, ComponentType>();
function Lazy({ load }: { load: Load }) {
  const [problem, setProblem] = useState<Problem>(),
    [, redraw] = useState(0);
  const fetch = (): void => {
    setProblem(undefined);
    load().then(
      (module) => {
        loaded.set(load, module.default);
        redraw((n) => n + 1);
      },
      () => setProblem(new Problem(0, 'A part of the page could not be loaded', '', 'If the hub was just updated, load the page again.')),
    );
  };
  useEffect(() => {
    if (!loaded.has(load)) fetch();
  }, [load]);
  const Page = loaded.get(load);
  return Page ? <Page /> : problem ? <Trouble problem={problem} again={fetch} /> : <Skeleton rows={8} />;
}

export function App() {
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    let stopped = false,
      timer = 0;
    const start = (): void => {
      begin().then(
        () => setProblem(undefined),
        (error) => {
          if (stopped) return;
          setProblem(problemFrom(error));
          timer = setTimeout(start, 2000);
        },
      );
    };
    start();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, []);
  if (caller.value === undefined) return <main class="bare">{problem ? <Trouble problem={problem} /> : <Skeleton rows={3} />}</main>;
  if (caller.value === null || path.value[0] === 'login') return <Login />;
  return <Shell />;
}

function Shell() {
  useKeys();
  const [page = '', id] = path.value,
    entries = PAGES.filter((entry) => !entry.may || entry.may());
  const entry = entries.find((one) => one.to === page),
    [more, setMore] = useState(false);
  useEffect(() => setMore(false), [where.value]);
  const load = page === 'jobs' && id ? JOB : entry?.load;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          event.stopPropagation();
          document.getElementById('main')!.focus();
        }}
      >
        Skip to content
      </a>
      <nav aria-label="Pages" class={more ? 'more' : ''}>
        <a class="brand" href="./">
          <b>Ge</b>Res
        </a>
        <ul>
          {entries.map((one) => (
            <li key={one.to} class={one.main ? 'main' : 'other'}>
              <a href={one.to || './'} aria-current={one === entry ? 'page' : undefined}>
                <Icon of={one.icon} />
                <span>{one.name}</span>
              </a>
            </li>
          ))}
          <li class="opens">
            <button type="button" aria-expanded={more} onClick={() => setMore(!more)}>
              <Icon of="M5 12h.01M12 12h.01M19 12h.01" />
              <span>More</span>
            </button>
          </li>
        </ul>
        <p class="who">
          <a href="settings">{caller.value!.name}</a>
          <small>
            {caller.value!.roles.join(', ')}
            {caller.value!.tenants.length ? ` of ${caller.value!.tenants.join(', ')}` : ''}
          </small>
        </p>
      </nav>
      <main id="main" tabIndex={-1}>
        {load ? (
          <Lazy key={page + (id ? '/' : '')} load={load} />
        ) : (
          <section>
            <h1>Nothing here</h1>
            <p>
              There is no page “{page}”, or it is not for you. <a href="./">To the overview</a>
            </p>
          </section>
        )}
      </main>
      <Asking />
      <Help />
    </>
  );
}
