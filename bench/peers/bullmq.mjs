// SPDX-License-Identifier: Apache-2.0
// BullMQ on the Redis at 127.0.0.1:PORT.   node bullmq.mjs PORT
import { Queue, Worker } from "bullmq";
import { measure } from "./measure.mjs";

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const options = { removeOnComplete: true };
const queue = new Queue("noop", { connection });

await measure({
  async fill(n) {
    for (let i = 0; i < n; i += 1_000)
      await queue.addBulk(Array.from({ length: 1_000 }, () => ({ name: "noop", data: {}, opts: options })));
  },
  async startWorker(handler) {
    const worker = new Worker("noop", handler, { connection, concurrency: 100 });
    await worker.waitUntilReady();
    return () => worker.close();
  },
  async connect() {
    const own = new Queue("noop", { connection: { ...connection } });
    await own.waitUntilReady();
    return () => own.add("noop", {}, options);
  },
  async drained() {
    while ((await queue.getJobCountByTypes("wait", "active", "prioritized", "delayed")) > 0);
  },
});
process.exit(0);
