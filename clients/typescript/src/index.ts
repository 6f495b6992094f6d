// SPDX-License-Identifier: Apache-2.0
export { type Batch, ended, Geres, type Job, type JobFilter, type JobSpec, type Wait } from "./client.js";
export { Foreign, GeresError, Unreachable } from "./errors.js";
export type { EventFilter, Gap, GeresEvent } from "./events.js";
export type { Options } from "./http.js";
export { packDirectory } from "./pack.js";
export type { JobNews, Listener, Notifications, Progress } from "./notifications.js";
