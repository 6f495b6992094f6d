// SPDX-License-Identifier: Apache-2.0
// What stands for trust_node.ts outside of Node, so that nothing of Node gets into a page: browsers trust by themselves.
import { BadOption, type Untrusted } from "./errors.js";
import type { IHttpConnectionOptions } from "@microsoft/signalr";
import type { Trust, Wanted } from "./trust.js";

export const NodeTrust = {
  of(_url: string, wanted: Wanted): Promise<Trust> {
    return Promise.reject(new BadOption(`${(wanted.ca ?? wanted.pin)?.name}: for Node alone`));
  },
};
export const explain = (): Promise<Untrusted | undefined> => Promise.resolve(undefined);
export const systemSignalr = (): IHttpConnectionOptions => ({});
