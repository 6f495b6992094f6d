// SPDX-License-Identifier: Apache-2.0
// Who looks at the page. The token goes to the hub once and comes back as a cookie that no script can read.
import { signal } from '@preact/signals';
import { get, type Info, Problem, send } from './api';

export type Caller = Info['caller'];
export type Role = 'viewer' | 'submitter' | 'operator' | 'admin';
/** undefined: not asked yet; null: nobody. */
export const caller = signal<Caller | null | undefined>(undefined);
/** A session has ended by itself, as opposed to never having begun. */
export const ended = signal(false);

interface Session {
  caller: Caller;
  expires: string;
}
const RANK: Record<string, number> = { viewer: 1, submitter: 2, operator: 3, admin: 4 };

export function can(role: Role): boolean {
  return Math.max(0, ...(caller.value?.roles ?? []).map((has) => RANK[has] ?? 0)) >= RANK[role];
}

/** An operator of all tenants, to whom the hub tells of itself. */
export const seesAll = (): boolean => can('operator') && !caller.value?.tenants.length;

export function expired(): void {
  if (caller.value) ended.value = true;
  caller.value = null;
}

export async function logIn(by: { token: string } | { code: string }): Promise<void> {
  const session = await send<Session>('POST', 'v1/session', by);
  ended.value = false;
  caller.value = session.caller;
}

export async function logOut(): Promise<void> {
  await send('DELETE', 'v1/session');
  ended.value = false;
  caller.value = null;
}

/** At the start: the one-time link of the address if there is one, else the session that the browser has. Throws a
    Problem where the hub did not say. */
export async function begin(): Promise<void> {
  const code = /^#login=(.+)$/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(null, '', location.pathname + location.search);
    try {
      return await logIn({ code: decodeURIComponent(code) });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      spent.value = true;
    }
  }
  try {
    caller.value = (await get<Session>('v1/session')).caller;
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    caller.value = null;
  }
}

/** The link that was opened had been used or was too old. */
export const spent = signal(false);
