// SPDX-License-Identifier: Apache-2.0
// The official SignalR client, driven by lines on its standard input, telling what it hears as lines of JSON.
//   node signalr_client.mjs MODULES TRANSPORT      MODULES: the node_modules that have @microsoft/signalr
//   subscribe ID · batch ID · call METHOD [ARG] · stop
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import path from "node:path";

const [modules, transport] = process.argv.slice(2);
const require = createRequire(path.join(modules, "x.js"));
const { HubConnectionBuilder, HttpTransportType, LogLevel } = require("@microsoft/signalr");
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));

const connection = new HubConnectionBuilder()
  .withUrl(`${process.env.GERES_HUB}/hubs/jobs`, {
    accessTokenFactory: () => process.env.GERES_TOKEN,
    transport: HttpTransportType[transport],
  })
  .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 100 })
  .configureLogging(LogLevel.None)
  .build();
connection.on("JobStarted", (job) => say("started", { id: job.id, state: job.state }));
connection.on("JobProgressed", (job, progress) => say("progressed", { id: job.id, progress }));
connection.on("JobCompleted", (job) => say("completed", { id: job.id, state: job.state, result: job.result }));
connection.onreconnecting(() => say("reconnecting"));
connection.onreconnected(() => say("reconnected"));
connection.onclose((error) => say("closed", { error: error?.message }));

const invoke = async (...call) => {
  try {
    const result = await connection.invoke(...call);
    say("done", { call, result });
  } catch (error) {
    say("refused", { call, error: error.message });
  }
};

try {
  await connection.start();
  say("connected");
} catch (error) {
  say("failed", { error: error.message });
  process.exit(1);
}
for await (const line of createInterface({ input: process.stdin })) {
  const [word, ...rest] = line.split(" ");
  if (word === "subscribe") await invoke("SubscribeToJob", rest[0]);
  else if (word === "batch") await invoke("SubscribeToBatch", rest[0]);
  else if (word === "call") await invoke(...rest);
  else if (word === "stop") break;
}
await connection.stop();
process.exit(0);
