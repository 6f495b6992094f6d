// SPDX-License-Identifier: Apache-2.0
// What is needed of a package that has no types.
declare module "eventsource" {
  export default class EventSource {
    constructor(url: string, options?: object);
    addEventListener(type: "open" | "error", listener: () => void): void;
    removeEventListener(type: "open" | "error", listener: () => void): void;
    close(): void;
  }
}
