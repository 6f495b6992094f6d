// SPDX-License-Identifier: Apache-2.0
// Live notifications over SignalR, for browsers and Node alike: WebSockets, server-sent events or long polling, whatever
// the way to the hub allows. After a reconnect all subscriptions are made again, so that what happened meanwhile is told.
import { type HubConnection, HubConnectionBuilder, HttpTransportType, LogLevel } from "@microsoft/signalr";
import type { components } from "./schema.js";
import { Unreachable } from "./errors.js";
import { type Http, Watch } from "./http.js";
import { systemSignalr } from "./trust.js";

/** A job as events show it: as GET /v1/jobs/{id}, without parameters and inputs. */
export type JobNews = Partial<components["schemas"]["Job"]> & { id: string };
export interface Progress {
  percent?: number;
  message: string;
}

export interface Listener {
  started?(job: JobNews): void;
  progressed?(job: JobNews, progress: Progress): void;
  /** Finished, failed or cancelled: see `job.state`. May be told twice. */
  completed?(job: JobNews): void;
}

export class Notifications {
  private readonly jobs = new Set<string>();
  private readonly batches = new Set<string>();

  private constructor(private readonly connection: HubConnection) {
    connection.onreconnected(async () => {
      for (const id of this.jobs) await connection.invoke("SubscribeToJob", id).catch(() => this.jobs.delete(id));
      for (const id of this.batches) await connection.invoke("SubscribeToBatch", id).catch(() => this.batches.delete(id));
    });
  }

  static async open(http: Http, listener: Listener, transport?: HttpTransportType): Promise<Notifications> {
    const trust = (await http.trust())?.signalr();
    const secure = trust?.options ?? (await systemSignalr(http.url));
    for (let again = true; ; again = false) {
      let token = await http.tokens.current();
      const accessTokenFactory = async () => (token = await http.tokens.current());
      const connection = new HubConnectionBuilder()
        .withUrl(`${http.url}/hubs/jobs`, {
          accessTokenFactory,
          timeout: http.answerTimeout,
          ...secure,
          ...(transport === undefined ? {} : { transport }),
        })
        .withAutomaticReconnect({
          nextRetryDelayInMilliseconds: (retry) => Math.min(100 * 2 ** retry.previousRetryCount, 5_000),
        })
        .configureLogging(LogLevel.None)
        .build();
      connection.on("JobStarted", (job: JobNews) => listener.started?.(job));
      connection.on("JobProgressed", (job: JobNews, progress: Progress) => listener.progressed?.(job, progress));
      connection.on("JobCompleted", (job: JobNews) => listener.completed?.(job));
      try {
        await started(connection, http);
        return new Notifications(connection);
      } catch (trouble) {
        void connection.stop();
        // SignalR makes words of what it was thrown.
        const refused = / 401\b|'401'|Unauthorized/.test((trouble as Error).message);
        if (again && refused && (await http.tokens.another(token))) continue;
        throw trust?.trouble() ?? (await http.distrust()) ?? trouble;
      }
    }
  }

  /** Told at once if the job has started or ended, then live. Rejects if there is no such job to be seen. */
  async subscribeToJob(id: string): Promise<void> {
    await this.connection.invoke("SubscribeToJob", id);
    this.jobs.add(id);
  }
  async unsubscribeFromJob(id: string): Promise<void> {
    this.jobs.delete(id);
    await this.connection.invoke("UnsubscribeFromJob", id);
  }
  /** By id or name. */
  async subscribeToBatch(batch: string): Promise<void> {
    await this.connection.invoke("SubscribeToBatch", batch);
    this.batches.add(batch);
  }
  async close(): Promise<void> {
    await this.connection.stop();
  }
}

/** A WebSocket that nobody answers has no limit of its own. */
async function started(connection: HubConnection, http: Http): Promise<void> {
  const watch = new Watch();
  watch.start(http.answerTimeout);
  const late = new Promise<never>((_, reject) => {
    const end = () => reject(new Unreachable(http.url, (watch.signal.reason as Error).message));
    watch.signal.addEventListener("abort", end);
  });
  try {
    await Promise.race([connection.start(), late]);
  } finally {
    watch.end();
  }
}
