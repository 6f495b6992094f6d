// SPDX-License-Identifier: Apache-2.0
// The one way to the hub: calls relative to the page's base, with its cookie, and trouble as the hub tells it.
import type { components } from '../../clients/typescript/src/schema.ts';
import { expired } from './session';

type Schemas = components['schemas'];
export type Job = Partial<Schemas['JobMembers']> & { id: string; state: JobState; version: number };
export type JobState = Schemas['JobState'];
export type Attempt = Schemas['Attempt'];
export type Batch = Schemas['Batch'];
export type Host = Schemas['Host'];
export type Status = Schemas['Status'];
export type Info = Schemas['Info'];
export type Why = Schemas['Why'];
export type File = Schemas['File'];
export type FilesOfJob = Schemas['FilesOfJob'];
export type Webhook = Schemas['Webhook'];
export type Delivery = Schemas['Delivery'];
export type Package = Schemas['Package'];
export type Tenant = Schemas['Tenant'];
export type Token = Schemas['Token'];
export type Pool = Schemas['ScalerStatus']['pools'][number];
export type ScalerStatus = Schemas['ScalerStatus'];
export type Decision = Schemas['ScalerDecision'];
export type LoadSample = Schemas['LoadSample'];
export type Count = Schemas['Count'];
export type Event = Schemas['Event'];
export interface Page<T> {
  items: T[];
  next?: string;
}
export interface Operation {
  id: string;
  verb: string;
  state: 'running' | 'done' | 'failed';
  done: number;
  of: number | null;
}

/** Why a call came to nothing, in the hub's words; `status` 0: nobody answered. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly hint: string,
    readonly requestId?: string,
    readonly field?: string,
  ) {
    super(detail || title);
  }
}

async function problemOf(answer: Response): Promise<Problem> {
  const id = answer.headers.get('x-request-id') ?? undefined;
  try {
    const body = (await answer.json()) as Schemas['Problem'];
    return new Problem(answer.status, body.title, body.detail, body.hint, body.requestId ?? id, body.field);
  } catch {
    return new Problem(answer.status, `The hub answered ${answer.status}`, '', 'Something between this page and the hub may be down.', id);
  }
}

/** Any call; throws a Problem. `path` is relative to the base, as in `v1/jobs`. */
export async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(new URL(path, document.baseURI), { credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(
      0,
      'The hub does not answer',
      'The connection could not be made or was lost.',
      'The page tries again by itself. Is the hub running?',
    );
  }
  if (answer.status === 401 && path !== 'v1/session') expired();
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, { signal })).json() as Promise<T>;
}

export async function send<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const answer = await call(path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** A part of a path or a query made of what somebody else named. */
export const enc = encodeURIComponent;

/** A bulk verb: asks the hub to go on by itself where it can, and tells how far it has come until it is done. */
export async function bulk(path: string, filter: unknown, progress: (operation: Operation) => void): Promise<number> {
  const first = await send<Count & { operation?: Operation }>('POST', path, filter, { prefer: 'respond-async' });
  let operation = first.operation;
  if (!operation) return first.count;
  for (;;) {
    progress(operation);
    if (operation.state === 'failed')
      throw new Problem(
        500,
        'The hub could not finish this',
        `${operation.done} were done.`,
        'Look at the list again, and repeat it for the rest.',
      );
    if (operation.state === 'done') return operation.done;
    await new Promise((done) => setTimeout(done, 500));
    try {
      operation = await get<Operation>('v1/operations/' + enc(operation.id));
    } catch (error) {
      // A hub that was started again goes on with the work, but knows no operation of its life before.
      if (error instanceof Problem && error.status === 404) return operation.done;
      if (!(error instanceof Problem) || (error.status !== 0 && error.status < 502)) throw error;
    }
  }
}

/** All pages of a list that is known to be short, up to a bound. */
export async function all<T>(path: string, bound = 2000, signal?: AbortSignal): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let cursor = '';
  do {
    const page: Page<T> = await get(path + (path.includes('?') ? '&' : '?') + 'limit=1000' + (cursor && '&cursor=' + enc(cursor)), signal);
    items.push(...page.items);
    cursor = page.next ?? '';
  } while (cursor && items.length < bound);
  return { items, more: cursor !== '' };
}
