// SPDX-License-Identifier: Apache-2.0
// One call to the hub: the token, the query, JSON both ways, a limit to how long an answer may take, and repeating what
// may be repeated.
import { BadOption, errorOf, Foreign, GeresError, NoToken, structureOf, Unreachable, Untrusted } from "./errors.js";
import { type TokenSource, Tokens } from "./tokens.js";
import { certificateTrouble, environment, type Trust, type TrustOptions, trustOf, type Wanted, wantedTrust } from "./trust.js";

export interface Options extends TrustOptions {
  /** Where the hub is; default `GERES_HUB`, else http://127.0.0.1:8080. */
  url?: string;
  /** The bearer token; default `GERES_TOKEN`. */
  token?: string;
  /**
   * Instead of `token`: gives the bearer token before the first call, when two thirds of its life are over, and once
   * when the hub refuses it (401).
   */
  tokenSource?: TokenSource;
  /**
   * How long the hub may take for its whole answer, in milliseconds; default 30 s. A log or a file may take longer, but
   * no piece of it; a wait may take its own time as well, and an upload what its size takes.
   */
  answerTimeout?: number;
  /** How long a call may be repeated while the hub is away, in milliseconds; default 30 s. */
  patience?: number;
}

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Query | undefined;
  json?: unknown;
  body?: Uint8Array | undefined;
  headers?: Record<string, string>;
  /** The call may have happened although no answer came: only set where a second one changes nothing. */
  repeatable: boolean;
  /** A long poll: until this moment of `performance.now()` the hub may hold its answer back. */
  waitUntil?: number;
  signal?: AbortSignal | undefined;
}

const longestPoll = 30_000;
const waitSlack = 2_000; // for the answer to a wait whose time is over
const slowestUpload = 16; // bytes a millisecond
const passingStatus = [408, 429, 502, 503, 504]; // 502 and 504 come from a proxy that cannot reach the hub

/** Ends a try that takes too long, or that its caller gives up. */
export class Watch {
  private readonly controller = new AbortController();
  private readonly giveUp = () => this.controller.abort(this.caller?.reason);
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly caller?: AbortSignal) {
    if (caller?.aborted) this.giveUp();
    caller?.addEventListener("abort", this.giveUp);
  }
  get signal(): AbortSignal {
    return this.controller.signal;
  }
  /** So long from now on, instead of what was said before. */
  start(ms: number): void {
    this.rest();
    const late = new Error(`it took longer than ${Math.round(ms) / 1_000} s`);
    this.timer = setTimeout(() => this.controller.abort(late), ms);
  }
  rest(): void {
    clearTimeout(this.timer);
  }
  end(): void {
    this.rest();
    this.caller?.removeEventListener("abort", this.giveUp);
  }
}

/** Trouble that may pass by itself. */
export class Passing {
  constructor(
    /** What to throw if it does not. */
    readonly error: GeresError | Unreachable,
    /** The hub itself says that nothing has happened. */
    readonly undone = false,
    /** For how long the hub wants to be left alone, in milliseconds. */
    readonly pause = 0,
  ) {}
}

export class Http {
  readonly url: string;
  readonly tokens: Tokens;
  readonly answerTimeout: number;
  private readonly patience: number;
  private readonly wanted: Wanted;
  private trusted: Promise<Trust | undefined> | undefined;

  constructor(options: Options) {
    const address = options.url ?? environment("GERES_HUB") ?? "127.0.0.1:8080";
    this.url = (/^[^/]+:\d+(\/|$)/.test(address) ? "http://" + address : address).replace(/\/+$/, "");
    if (options.token !== undefined && options.tokenSource)
      throw new BadOption("tokenSource: not beside `token`; one of the two says who calls");
    this.tokens = new Tokens(options.token ?? environment("GERES_TOKEN"), options.tokenSource);
    this.wanted = wantedTrust(this.url, options);
    this.answerTimeout = Math.min(options.answerTimeout ?? 30_000, 2 ** 30); // from 2^31 on, timers ring at once
    this.patience = options.patience ?? 30_000;
  }

  json(call: Call): Promise<unknown> {
    return this.send(call, async (answer) => {
      const text = await answer.text();
      const value = structureOf(text);
      if (value === undefined) throw new Foreign(this.url, answer.status, text);
      return value;
    });
  }

  /** For answers of any length: they may take as long as they come. */
  bytes(call: Call): Promise<Uint8Array> {
    return this.send(call, async (answer, watch) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of piecesOf(answer, watch, this.answerTimeout)) pieces.push(piece);
      const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
      let end = 0;
      for (const piece of pieces) {
        all.set(piece, end);
        end += piece.length;
      }
      return all;
    });
  }

  /** Who is trusted; undefined: whom the system trusts. */
  trust(): Promise<Trust | undefined> {
    return (this.trusted ??= trustOf(this.url, this.wanted));
  }

  /**
   * One try, up to the head of a good answer. Whatever this throws that is not final (`isFinal`) may pass by itself.
   */
  async open(call: Call, watch: Watch, wait = 0): Promise<Response> {
    const headers: Record<string, string> = { ...call.headers };
    const init: RequestInit = { method: call.method, headers, signal: watch.signal };
    if (call.json !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(call.json);
    } else if (call.body !== undefined) {
      headers["Content-Type"] = "application/octet-stream";
      init.body = call.body as unknown as BodyInit;
    }
    const query = call.waitUntil === undefined ? call.query : { ...call.query, wait: `${wait}ms` };
    const answer = await this.authorized(this.address(call.path, query), headers, init, watch);
    if (answer.ok) return answer;
    const error = errorOf(this.url, answer.status, await answer.text());
    if (!passingStatus.includes(answer.status)) throw error;
    // `unknown`: only a repeat with the same key is safe.
    const undone = error instanceof GeresError && !["unknown", "foreign"].includes(error.code);
    const after = Number(answer.headers.get("Retry-After")) || 0;
    throw new Passing(error, undone, Math.min(after, 10) * 1_000);
  }

  private async authorized(to: string, headers: Record<string, string>, init: RequestInit, watch: Watch): Promise<Response> {
    for (let again = true; ; again = false) {
      const token = await unless(watch.signal, this.tokens.current());
      headers.Authorization = `Bearer ${token}`;
      const answer = await this.reach(to, init);
      if (answer.status !== 401 || !again || !(await unless(watch.signal, this.tokens.another(token)))) return answer;
      await answer.body?.cancel();
    }
  }

  private async reach(to: string, init: RequestInit): Promise<Response> {
    const trust = await this.trust();
    if (trust) return trust.fetch(to, init);
    try {
      return await fetch(to, init);
    } catch (trouble) {
      throw (await certificateTrouble(this.url, trouble)) ?? trouble;
    }
  }

  /** For those who are only told that there is no connection: is it for the hub's certificate? */
  async distrust(): Promise<Untrusted | undefined> {
    if (!this.url.startsWith("https:")) return undefined;
    const watch = new Watch();
    watch.start(this.answerTimeout);
    try {
      await (await this.reach(this.address("/healthz"), { signal: watch.signal })).body?.cancel();
    } catch (trouble) {
      if (trouble instanceof Untrusted) return trouble;
    } finally {
      watch.end();
    }
    return undefined;
  }

  /** What `read` makes of the answer. An answer that breaks while it is read counts as none. */
  private async send<T>(call: Call, read: (answer: Response, watch: Watch) => Promise<T>): Promise<T> {
    let end: number | undefined;
    for (let pause = 100; ; pause = Math.min(pause * 2, 5_000)) {
      const begun = performance.now();
      const wait = Math.ceil(Math.min(Math.max((call.waitUntil ?? 0) - begun, 0), longestPoll));
      const watch = new Watch(call.signal);
      let trouble: Passing;
      try {
        watch.start(this.timeFor(call, wait, begun));
        return await read(await this.open(call, watch, wait), watch);
      } catch (caught) {
        call.signal?.throwIfAborted();
        if (isFinal(caught)) throw caught;
        trouble =
          caught instanceof Passing
            ? caught
            : new Passing(new Unreachable(this.url, reasonOf(caught), { cause: caught }));
      } finally {
        watch.end();
      }
      const now = performance.now();
      // It is away since it owed the first answer; while it held a long poll it was not.
      end ??= Math.min(Math.min(now, begun + wait) + this.patience, call.waitUntil ?? Number.POSITIVE_INFINITY);
      if (now >= end || !(call.repeatable || trouble.undone)) throw trouble.error;
      await sleep(Math.min(Math.max(pause * (0.5 + Math.random()), trouble.pause), end - now), call.signal);
    }
  }

  private timeFor(call: Call, wait: number, begun: number): number {
    const time = this.answerTimeout + wait + (call.body?.length ?? 0) / slowestUpload;
    return Math.min(time, (call.waitUntil ?? Number.POSITIVE_INFINITY) - begun + waitSlack);
  }

  private address(path: string, query: Query = {}): string {
    const to = new URL(this.url + path);
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      to.searchParams.set(name, Array.isArray(value) ? value.join(",") : String(value));
    }
    return to.toString();
  }
}

/** The body as it comes. Silence ends it; while a piece is dealt with, nobody listens, so that does not count. */
export async function* piecesOf(answer: Response, watch: Watch, silence: number): AsyncGenerator<Uint8Array> {
  if (answer.body === null) return;
  const reader = answer.body.getReader();
  try {
    for (;;) {
      watch.start(silence);
      const piece = await reader.read();
      watch.rest();
      if (piece.done) return;
      yield piece.value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Asking again would not help: the hub has refused, it is not the one that is trusted, or there is nothing to ask with. */
export const isFinal = (trouble: unknown): boolean =>
  [GeresError, Untrusted, NoToken, BadOption].some((kind) => trouble instanceof kind);

/** The promise, or why the signal ended the wait for it. */
function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** fetch itself only says that it failed; why is hidden in it. */
function reasonOf(trouble: unknown): string {
  const { message, code, cause } = trouble as { message?: string; code?: string; cause?: unknown };
  return cause ? reasonOf(cause) : message || code || String(trouble);
}

/**
 * For whoever asks again for what the hub holds back until there is news: a proxy between may cut waits short, and
 * answers that come at once, one after the other, are not followed by the next call in a tight loop.
 */
export class Pace {
  private quick = 0;
  /** The pause before the next call, in ms; `took`: how long an answer without news was in coming. */
  after(took: number): number {
    this.quick = took < 1_000 ? this.quick + 1 : 0;
    return this.quick < 3 ? 0 : Math.min(100 * 2 ** (this.quick - 3), 2_000);
  }
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
