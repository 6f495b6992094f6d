// SPDX-License-Identifier: Apache-2.0
// Events as the hub tells them: CloudEvents over server-sent events, read with fetch so that the token stays in a header.
// The stream comes back by itself and reads on where it was.
import type { components } from "./schema.js";
import { Foreign, GeresError, structureOf } from "./errors.js";
import { type Http, isFinal, Passing, piecesOf, type Query, sleep, Watch } from "./http.js";

export type GeresEvent = components["schemas"]["Event"];

/** Events between `after` and `until` are no longer kept: what they told has to be read anew. */
export interface Gap {
  type: "gap";
  after?: string;
  until: string;
}

export interface EventFilter {
  tenant?: string | readonly string[];
  batch?: string | readonly string[];
  job?: string | readonly string[];
  /** Such as `geres.job.finished` or `geres.job.*`. */
  type?: string | readonly string[];
  /** Read on after this event's id; `start`: all that is kept; absent: from now on. */
  after?: string;
  signal?: AbortSignal;
}

interface Record_ {
  id: string;
  event: string;
  data: string;
}

/** Takes bytes as they come, gives the records that are complete (WHATWG HTML, 9.2.6). */
export class EventStreamParser {
  private rest = "";
  private id = "";
  private event = "";
  private data: string[] = [];

  get lastId(): string {
    return this.id;
  }

  take(text: string): Record_[] {
    const records: Record_[] = [];
    this.rest += text;
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) records.push({ id: this.id, event: this.event, data: this.data.join("\n") });
        this.event = "";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "id" && !value.includes("\0")) this.id = value;
      else if (name === "event") this.event = value;
      else if (name === "data") this.data.push(value);
    }
    return records;
  }
}

/** `silence`: how long nothing may come, though the hub says something every 15 s. */
export async function* readEvents(http: Http, filter: EventFilter, silence = 45_000): AsyncGenerator<GeresEvent | Gap> {
  const { signal, after, ...wanted } = filter;
  let last = after === "start" ? undefined : after;
  for (let pause = 100; ; pause = Math.min(pause * 2, 5_000)) {
    let asked = 0;
    const watch = new Watch(signal);
    try {
      const query: Query = { ...wanted, lastEventId: last === undefined ? after : undefined };
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (last !== undefined) headers["Last-Event-ID"] = last;
      watch.start(silence);
      const answer = await http.open({ method: "GET", path: "/v1/events", query, headers, repeatable: true }, watch);
      const foreign = (said: string) => new Foreign(http.url, answer.status, said);
      if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) throw foreign(await answer.text());
      const parser = new EventStreamParser();
      const decoder = new TextDecoder();
      for await (const piece of piecesOf(answer, watch, silence)) {
        pause = 100;
        for (const record of parser.take(decoder.decode(piece, { stream: true }))) {
          const told = structureOf(record.data);
          if (told === undefined) throw foreign(record.data);
          last = record.id;
          yield record.event === "gap" ? { ...(told as Omit<Gap, "type">), type: "gap" } : (told as GeresEvent);
        }
        if (parser.lastId !== "") last = parser.lastId;
      }
    } catch (trouble) {
      // A stream that breaks is opened anew; what the hub refuses, it would refuse again.
      if (signal?.aborted) return;
      if (isFinal(trouble) && !(trouble instanceof GeresError && trouble.status >= 500)) throw trouble;
      if (trouble instanceof Passing) asked = trouble.pause;
    } finally {
      watch.end();
    }
    try {
      await sleep(Math.max(pause * (0.5 + Math.random()), asked), signal);
    } catch {
      return;
    }
  }
}
