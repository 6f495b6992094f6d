// SPDX-License-Identifier: Apache-2.0
// The client: thin over the HTTP API, typed by its contract (schema.ts is generated from api/openapi.yaml).
import type { HttpTransportType } from "@microsoft/signalr";
import type { components } from "./schema.js";
import { type EventFilter, type Gap, type GeresEvent, readEvents } from "./events.js";
import { Http, type Options, Pace, type Query, sleep } from "./http.js";
import { type Listener, Notifications } from "./notifications.js";
import { packDirectory } from "./pack.js";

type Schemas = components["schemas"];
export type Job = Schemas["Job"];
export type JobSpec = Schemas["JobSpec"];
export type Batch = Schemas["Batch"];

export interface JobFilter {
  tenant?: string;
  batch?: string;
  state?: Job["state"] | readonly Job["state"][];
  type?: string;
  name?: string;
  host?: string;
  tags?: Record<string, string>;
  order?: "asc" | "desc";
}

export interface Wait {
  /** Milliseconds; default: for ever. */
  timeout?: number;
  signal?: AbortSignal;
}

export class Geres {
  private readonly http: Http;

  constructor(options: Options = {}) {
    this.http = new Http(options);
  }

  // ---- jobs

  /** Submits one job. Repeated by itself with the same key while the hub is away, so that it is there once. */
  async submit(spec: JobSpec): Promise<Job> {
    return (await this.post("/v1/jobs", spec, { "Idempotency-Key": spec.key ?? newKey() })) as Job;
  }
  /** Up to 10,000 jobs, all or none; their ids in the order given. */
  async submitAll(specs: readonly JobSpec[]): Promise<string[]> {
    const made = (await this.post("/v1/jobs", specs, { "Idempotency-Key": newKey() })) as { ids: string[] };
    return made.ids;
  }
  async job(id: string): Promise<Job> {
    return (await this.get(`/v1/jobs/${encodeURIComponent(id)}`)) as Job;
  }
  /** All jobs that fit, newest first unless `order` says otherwise; pages are fetched as they are needed. */
  async *jobs(filter: JobFilter = {}): AsyncGenerator<Job> {
    const { tags, ...rest } = filter;
    const query: Query = { ...rest, limit: 1_000 };
    for (const [name, value] of Object.entries(tags ?? {})) query[`tag.${name}`] = value;
    for (let cursor: string | undefined; ; ) {
      const page = (await this.get("/v1/jobs", { ...query, cursor })) as { items: Job[]; next?: string };
      yield* page.items;
      if (page.next === undefined) return;
      cursor = page.next;
    }
  }
  /**
   * The job once it has ended, however it did; or as it is when the timeout is over. `Unreachable` soon after that if
   * there is no hub to say how it is.
   */
  async wait(id: string, { timeout, signal }: Wait = {}): Promise<Job> {
    const waitUntil = performance.now() + (timeout ?? Number.POSITIVE_INFINITY);
    const path = `/v1/jobs/${encodeURIComponent(id)}`;
    const pace = new Pace();
    for (;;) {
      const asked = performance.now();
      const job = (await this.http.json({ method: "GET", path, repeatable: true, waitUntil, signal })) as Job;
      const now = performance.now();
      if (ended(job) || now >= waitUntil) return job;
      await sleep(Math.min(pace.after(now - asked), waitUntil - now), signal);
    }
  }
  async cancel(id: string, options: { grace?: string; reason?: string } = {}): Promise<Job> {
    return (await this.post(`/v1/jobs/${encodeURIComponent(id)}/cancel`, options)) as Job;
  }
  /** Runs an ended job again, as a new job. Not repeated by itself: a second call would make a second job. */
  async redrive(id: string): Promise<Job> {
    const path = `/v1/jobs/${encodeURIComponent(id)}/redrive`;
    return (await this.http.json({ method: "POST", path, json: {}, repeatable: false })) as Job;
  }
  /** Settles a dead letter: it stays failed, but nobody needs to look at it any more. */
  async dismiss(id: string): Promise<Job> {
    return (await this.post(`/v1/jobs/${encodeURIComponent(id)}/dismiss`, {})) as Job;
  }
  /** What the newest attempt wrote. */
  async log(id: string, stream: "stdout" | "stderr" = "stdout"): Promise<string> {
    const path = `/v1/jobs/${encodeURIComponent(id)}/log`;
    const bytes = await this.http.bytes({ method: "GET", path, query: { stream }, repeatable: true });
    return new TextDecoder().decode(bytes);
  }
  async files(id: string): Promise<{ path: string; size: number; sha256: string }[]> {
    const page = await this.get(`/v1/jobs/${encodeURIComponent(id)}/files`);
    return (page as { items: { path: string; size: number; sha256: string }[] }).items;
  }
  async file(id: string, path: string): Promise<Uint8Array> {
    const name = path.split("/").map(encodeURIComponent).join("/");
    const where = `/v1/jobs/${encodeURIComponent(id)}/files/${name}`;
    return this.http.bytes({ method: "GET", path: where, repeatable: true });
  }

  // ---- batches and packages

  async createBatch(batch: Schemas["NewBatch"]): Promise<Batch> {
    const call = { method: "POST", path: "/v1/batches", json: batch, repeatable: false } as const;
    return (await this.http.json(call)) as Batch;
  }
  async batch(idOrName: string): Promise<Batch> {
    return (await this.get(`/v1/batches/${encodeURIComponent(idOrName)}`)) as Batch;
  }
  async closeBatch(idOrName: string): Promise<Batch> {
    return (await this.post(`/v1/batches/${encodeURIComponent(idOrName)}/close`, {})) as Batch;
  }
  async cancelBatch(idOrName: string): Promise<Batch> {
    return (await this.post(`/v1/batches/${encodeURIComponent(idOrName)}/cancel`, {})) as Batch;
  }
  /** With its jobs, which must have ended; it must be closed or cancelled. How many jobs there were. */
  async deleteBatch(idOrName: string): Promise<number> {
    const where = `/v1/batches/${encodeURIComponent(idOrName)}`;
    const answer = await this.http.json({ method: "DELETE", path: where, repeatable: true });
    return (answer as Schemas["Deleted"]).deleted;
  }
  /**
   * Uploads a ZIP, or in Node a directory by its path, packed first with all in it (see `packDirectory`); the same bytes
   * again change nothing.
   */
  async pushPackage(
    tenant: string,
    name: string,
    zipOrDirectory: Uint8Array | string,
  ): Promise<{ sha256: string; version: number }> {
    const path = `/v1/packages/${encodeURIComponent(tenant)}/${encodeURIComponent(name)}`;
    const body = typeof zipOrDirectory === "string" ? await packDirectory(zipOrDirectory) : zipOrDirectory;
    const made = await this.http.json({ method: "PUT", path, body, repeatable: true });
    return made as { sha256: string; version: number };
  }

  // ---- what happens

  /** Events as they happen. Comes back by itself after trouble and misses nothing that is kept; see `Gap`. */
  events(filter: EventFilter = {}): AsyncGenerator<GeresEvent | Gap> {
    return readEvents(this.http, filter);
  }
  /** Notifications about jobs and batches over SignalR. */
  notifications(listener: Listener, transport?: HttpTransportType): Promise<Notifications> {
    return Notifications.open(this.http, listener, transport);
  }

  private get(path: string, query?: Query): Promise<unknown> {
    return this.http.json({ method: "GET", path, query, repeatable: true });
  }
  private post(path: string, json: unknown, headers: Record<string, string> = {}): Promise<unknown> {
    return this.http.json({ method: "POST", path, json, headers, repeatable: true });
  }
}

export function ended(job: Pick<Job, "state">): boolean {
  return job.state === "finished" || job.state === "failed" || job.state === "cancelled";
}

// Node 18 has no global crypto; a key has to be unique, not secret.
function newKey(): string {
  const random = () => Math.floor(Math.random() * 2 ** 32).toString(16);
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(16)}-${random()}-${random()}-${random()}`;
}
