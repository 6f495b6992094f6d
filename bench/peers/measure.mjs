// SPDX-License-Identifier: Apache-2.0
// The three measurements, the same as hub_bench's for the worker SDK: a backlog of no-op jobs drained; jobs submitted one
// by one from 16 connections, and run; submit call to handler start on an idle system. Prints one line of JSON.

export const kDrained = 100_000, kSubmitted = 20_000, kConnections = 16, kLatency = 520, kWarm = 20;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const seconds = (start) => Number(process.hrtime.bigint() - start) / 1e9;

/** A count that can be waited for. */
export class Count {
  #n = 0;
  #wanted = Infinity;
  #reached = () => {};
  add() {
    if (++this.#n >= this.#wanted) this.#reached();
  }
  async reaches(n) {
    if (this.#n >= n) return;
    await new Promise((done) => {
      this.#wanted = n;
      this.#reached = done;
    });
    this.#wanted = Infinity;
  }
}

/**
 * fill(n): puts n jobs into the queue. startWorker(handler): resolves once it takes jobs; gives back a function that stops
 * it. connect(): a submitter of its own, `submit()` resolves once a job is taken. drained(): resolves when nothing is left
 * in the queue, in its store's eyes.
 */
export async function measure({ fill, startWorker, connect, drained }) {
  await fill(kDrained);
  const done = new Count();
  let started = () => {};
  let start = process.hrtime.bigint();
  const stop = await startWorker(async () => {
    started();
    done.add();
  });
  await done.reaches(kDrained);
  await drained();
  const drainedPerSecond = kDrained / seconds(start);

  const submitters = await Promise.all(Array.from({ length: kConnections }, connect));
  start = process.hrtime.bigint();
  await Promise.all(
    submitters.map(async (submit) => {
      for (let i = 0; i < kSubmitted / kConnections; ++i) await submit();
    }),
  );
  await done.reaches(kDrained + kSubmitted);
  await drained();
  const ranPerSecond = kSubmitted / seconds(start);

  const times = [];
  for (let i = 0; i < kLatency; ++i) {
    const called = process.hrtime.bigint();
    const began = new Promise((resolve) => (started = () => resolve(Number(process.hrtime.bigint() - called) / 1e6)));
    await submitters[0]();
    const ms = await began;
    if (i >= kWarm) times.push(ms);
    await sleep(4);
  }
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.floor(times.length * part)];
  console.log(JSON.stringify({ drained: drainedPerSecond, ran: ranPerSecond, p50: at(0.5), p99: at(0.99) }));
  await stop();
}
