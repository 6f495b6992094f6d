// SPDX-License-Identifier: Apache-2.0
// Graphile Worker on the PostgreSQL database at URL, in batches as its documents advise.   node graphile.mjs URL
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { measure } from "./measure.mjs";

const connectionString = process.argv[2];
const logger = new Logger(() => () => {});  // its default writes a line for each job
const utils = await makeWorkerUtils({ connectionString, logger });
await utils.migrate();
const pool = new pg.Pool({ connectionString, max: 2 });

await measure({
  async fill(n) {
    for (let i = 0; i < n; i += 1_000)
      await utils.addJobs(Array.from({ length: 1_000 }, () => ({ identifier: "noop", payload: {} })));
  },
  async startWorker(handler) {
    const runner = await run({
      logger,
      taskList: { noop: handler },
      noHandleSignals: true,
      preset: {
        worker: {
          connectionString,
          concurrentJobs: 24,
          maxPoolSize: 25,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    });
    return () => runner.stop();
  },
  async connect() {
    const own = new pg.Client({ connectionString });
    await own.connect();
    return () => own.query({ name: "add", text: "SELECT graphile_worker.add_job('noop', '{}'::json)" });
  },
  async drained() {
    while (Number((await pool.query("SELECT count(*) FROM graphile_worker._private_jobs")).rows[0].count) > 0);
  },
});
process.exit(0);
