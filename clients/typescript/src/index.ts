// SPDX-License-Identifier: Apache-2.0
export { type Batch, ended, Geres, type Job, type JobFilter, type JobSpec, type Wait } from "./client.js";
export { BadOption, Foreign, GeresError, NoToken, Unreachable, Untrusted } from "./errors.js";
export type { EventFilter, Gap, GeresEvent } from "./events.js";
export type { Options } from "./http.js";
export type { GivenToken, TokenSource } from "./tokens.js";
export { packDirectory } from "./pack.js";
export type { JobNews, Listener, Notifications, Progress } from "./notifications.js";
