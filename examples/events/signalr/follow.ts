// SPDX-License-Identifier: Apache-2.0
// Follows one job with the official SignalR client.
//   node dist/follow.js JOB      (GERES_HUB and GERES_TOKEN say where and who)

// [client]
import { HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

interface Job { id: string; state: string; host?: string; result?: string; error?: string }
interface Progress { percent?: number; message: string }

const hub = process.env["GERES_HUB"] ?? "http://127.0.0.1:8080";
const id = process.argv[2]!;

const live = new HubConnectionBuilder()
  .withUrl(`${hub}/hubs/jobs`, { accessTokenFactory: () => process.env["GERES_TOKEN"]! })
  .withAutomaticReconnect()
  .configureLogging(LogLevel.Warning)
  .build();

const completed = new Promise<Job>((tell) => live.on("JobCompleted", tell));
live.on("JobStarted", (job: Job) => console.log(`started on ${job.host}`));
live.on("JobProgressed", (_job: Job, { percent, message }: Progress) => console.log(`${percent ?? 0} % ${message}`));
live.onreconnected(() => live.invoke("SubscribeToJob", id)); // the hub forgot it with the connection

await live.start();
await live.invoke("SubscribeToJob", id); // what is so already is told at once
const job = await completed;
console.log(`${job.state}: ${job.result ?? job.error}`);
await live.stop();
// [client]
