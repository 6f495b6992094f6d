// SPDX-License-Identifier: Apache-2.0
// Submits a job, tells how it goes, prints its result: the TypeScript client.
//   node dist/first_job.js NAME      (GERES_HUB and GERES_TOKEN say where and who)

// [submit]
import { Geres } from "geres-client";

const geres = new Geres(); // GERES_HUB, GERES_TOKEN
const name = process.argv[2] ?? "you";
const { id } = await geres.submit({ tenant: "demo", type: "Greet", package: "greet", parameters: { name } });
// [submit]

// [follow]
// From the job's first event on, so nothing is missed.
for await (const event of geres.events({ job: id, after: "start" })) {
  if (event.type === "geres.job.progressed") {
    const { percent, message } = event.data.progress;
    console.log(`${percent} % ${message}`);
  }
  if (["geres.job.finished", "geres.job.failed", "geres.job.cancelled"].includes(event.type)) break;
}
// [follow]

// [result]
const job = await geres.job(id);
if (job.state !== "finished") throw new Error(job.error ?? job.state);
console.log(job.result);
// [result]
