// SPDX-License-Identifier: Apache-2.0
// The WebSocket to v1/live that all tabs of a browser share: what they watch is put together, what comes is told to
// those who watch it. It runs in a SharedWorker, or in the tab itself where there is none.
import type { Job, Status } from './api';

export interface LogPlace {
  job: string;
  attempt: number;
  stream: string;
}
export interface Watch {
  status?: boolean;
  jobs?: string[];
  log?: LogPlace;
  newJobs?: boolean;
}
export interface News {
  status?: Status;
  job?: Job;
  log?: LogPlace & { size: number; ended: boolean };
  newJobs?: number;
  gap?: boolean;
  connected?: boolean;
  over?: boolean;
}

/** One socket, made again with growing pauses for as long as something is watched. */
class Line {
  private socket?: WebSocket;
  private watch = '{}';
  private pause = 500;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lost = false;
  constructor(
    private readonly url: string,
    private readonly tell: (news: News) => void,
    private readonly sends: () => void = () => {},
  ) {}

  set(watch: Watch): void {
    const text = JSON.stringify(watch);
    if (text === this.watch) return;
    this.watch = text;
    if (text === '{}') return this.end();
    if (this.socket?.readyState === 1) this.say();
    else if (!this.socket && !this.timer) this.open();
  }

  private say(): void {
    this.sends();
    this.socket!.send(`{"watch":${this.watch}}`);
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.watch = '{}';
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
  }

  private open(): void {
    const socket = (this.socket = new WebSocket(this.url));
    this.timer = undefined;
    socket.onopen = () => {
      if (this.socket !== socket) return socket.close();
      this.pause = 500;
      this.say();
      this.tell({ connected: true, ...(this.lost ? { gap: true } : {}) });
      this.lost = false;
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.tell(JSON.parse(event.data as string) as News);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.lost = true;
      if (event.code === 4401) {
        this.watch = '{}';
        return this.tell({ over: true });
      }
      this.tell({ connected: false });
      this.timer = setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(this.pause * 2, 15000);
    };
  }
}

interface Tab {
  watch: Watch;
  from: number;
  heard: number;
  tell: (news: News) => void;
}

export class Exchange {
  private readonly tabs = new Set<Tab>();
  private readonly main: Line;
  private readonly logs = new Map<string, Line>();
  // New jobs since this began: what the hub counts, it counts from the last message to it.
  private submitted = 0;
  private before = 0;
  private last: News = {};
  private connected = false;

  constructor(private readonly url: string) {
    this.main = new Line(
      url,
      (news) => this.take(news),
      () => {
        this.before = this.submitted;
      },
    );
  }

  join(tell: (news: News) => void): Tab {
    const tab: Tab = { watch: {}, from: 0, heard: Date.now(), tell };
    this.tabs.add(tab);
    return tab;
  }

  leave(tab: Tab): void {
    this.tabs.delete(tab);
    this.apply();
  }

  /** `anew`: the tab has read its lists again and counts new jobs from here. */
  set(tab: Tab, watch: Watch, anew: boolean): void {
    const begins = watch.status && !tab.watch.status;
    tab.watch = watch;
    tab.heard = Date.now();
    if (anew) tab.from = this.submitted;
    if (this.connected) tab.tell({ connected: true });
    if (begins && this.last.status) tab.tell({ status: this.last.status });
    this.apply();
  }

  /** Tabs that have gone without a word. */
  sweep(silent: number): void {
    for (const tab of this.tabs) if (Date.now() - tab.heard > silent) this.leave(tab);
  }

  private apply(): void {
    const all = [...this.tabs].map((tab) => tab.watch),
      watch: Watch = {};
    if (all.some((w) => w.status)) watch.status = true;
    const jobs = [...new Set(all.flatMap((w) => w.jobs ?? []))].sort().slice(0, 200);
    if (jobs.length) watch.jobs = jobs;
    if (all.some((w) => w.newJobs)) watch.newJobs = true;
    const logs = new Map(all.flatMap((w) => (w.log ? [[JSON.stringify(w.log), w.log] as const] : [])));
    const [first, ...others] = logs;
    if (first) watch.log = first[1];
    this.main.set(watch);
    for (const [key, line] of this.logs)
      if (!others.some(([other]) => other === key)) {
        line.end();
        this.logs.delete(key);
      }
    for (const [key, log] of others) {
      if (this.logs.has(key)) continue;
      const line = new Line(this.url, (news) => {
        if (news.log) this.take({ log: news.log });
      });
      this.logs.set(key, line);
      line.set({ log });
    }
  }

  private take(news: News): void {
    if (news.connected !== undefined) this.connected = news.connected;
    if (news.connected === false) this.last = {};
    if (news.status) this.last = { status: news.status };
    if (news.newJobs !== undefined) this.submitted = Math.max(this.submitted, this.before + news.newJobs);
    for (const tab of this.tabs) {
      const part: News = {};
      if (news.status && tab.watch.status) part.status = news.status;
      if (news.job && tab.watch.jobs?.includes(news.job.id)) part.job = news.job;
      if (news.log && tab.watch.log && same(news.log, tab.watch.log)) part.log = news.log;
      if (news.newJobs !== undefined && tab.watch.newJobs) part.newJobs = this.submitted - tab.from;
      if (news.gap) part.gap = true;
      if (news.connected !== undefined) part.connected = news.connected;
      if (news.over) part.over = true;
      if (Object.keys(part).length) tab.tell(part);
    }
  }
}

const same = (a: LogPlace, b: LogPlace): boolean => a.job === b.job && a.attempt === b.attempt && a.stream === b.stream;
