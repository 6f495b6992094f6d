// SPDX-License-Identifier: Apache-2.0
// One call to the hub: the token, the query, JSON both ways, and repeating what may be repeated.
import { errorOf, Unreachable } from "./errors.js";

export interface Options {
  /** Where the hub is; default `GERES_HUB`, else http://127.0.0.1:8080. */
  url?: string;
  /** The bearer token; default `GERES_TOKEN`. */
  token?: string;
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
  signal?: AbortSignal | undefined;
}

declare const process: { env: Record<string, string | undefined> } | undefined;
const environment = (name: string) => (typeof process === "undefined" ? undefined : process.env[name]);

export class Http {
  readonly url: string;
  readonly token: string;
  private readonly patience: number;

  constructor(options: Options) {
    this.url = (options.url ?? environment("GERES_HUB") ?? "http://127.0.0.1:8080").replace(/\/+$/, "");
    this.token = options.token ?? environment("GERES_TOKEN") ?? "";
    this.patience = options.patience ?? 30_000;
  }

  address(path: string, query: Query = {}): string {
    const to = new URL(this.url + path);
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      to.searchParams.set(name, Array.isArray(value) ? value.join(",") : String(value));
    }
    return to.toString();
  }

  /** The answer, whatever its status is up to 299; everything else is thrown. */
  async send(call: Call): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}`, ...call.headers };
    let body: BodyInit | undefined;
    if (call.json !== undefined) {
      headers["Content-Type"] = "application/json";
      body = JSON.stringify(call.json);
    } else if (call.body !== undefined) {
      headers["Content-Type"] = "application/octet-stream";
      body = call.body as unknown as BodyInit;
    }
    const end = Date.now() + this.patience;
    for (let pause = 100; ; pause = Math.min(pause * 2, 5_000)) {
      const again = await this.once(call, headers, body, end);
      if (again instanceof Response) return again;
      await sleep(Math.min(again ?? pause * (0.5 + Math.random()), Math.max(0, end - Date.now())), call.signal);
    }
  }

  /** The answer, or how long to wait before the next try (undefined: as usual). */
  private async once(call: Call, headers: Record<string, string>, body: BodyInit | undefined, end: number) {
    let answer: Response;
    try {
      const init: RequestInit = { method: call.method, headers };
      if (body !== undefined) init.body = body;
      if (call.signal !== undefined) init.signal = call.signal;
      answer = await fetch(this.address(call.path, call.query), init);
    } catch (trouble) {
      if (call.signal?.aborted || !call.repeatable || Date.now() >= end) {
        if (call.signal?.aborted) throw trouble;
        throw new Unreachable(`the hub at ${this.url} cannot be reached`, { cause: trouble });
      }
      return undefined;
    }
    if (answer.ok) return answer;
    // 503 says that nothing has happened, or (unknown) that a repeat with the same key is safe.
    if (answer.status !== 503 || !call.repeatable || Date.now() >= end) throw await errorOf(answer);
    await answer.body?.cancel();
    const after = Number(answer.headers.get("Retry-After"));
    return Number.isFinite(after) && after > 0 ? after * 1_000 : undefined;
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
