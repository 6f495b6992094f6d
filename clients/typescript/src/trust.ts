// SPDX-License-Identifier: Apache-2.0
// Whom the client takes for its hub where that is not for the system to say. This part is for Node and browsers alike;
// what it needs of Node is in trust_node.ts, which is loaded only where a certificate is to be looked at.
import type { IHttpConnectionOptions } from "@microsoft/signalr";
import { BadOption, type Untrusted } from "./errors.js";

export interface TrustOptions {
  /**
   * Certificates to trust instead of the system's: PEM text, or the path of a file with it. Node alone; default
   * `GERES_CA`.
   */
  ca?: string | Uint8Array;
  /**
   * `sha256:` and the SHA-256, in hex, of the public key (SubjectPublicKeyInfo) of a certificate authority, or of the
   * hub's own certificate: trusted instead of the system's. Node alone; default `GERES_CA_PIN`.
   */
  caPin?: string;
}

/** What was given, with the names by which to speak of it. */
export interface Wanted {
  ca?: { value: string | Uint8Array; name: string };
  pin?: { value: string; name: string };
}

export interface Trust {
  fetch: typeof fetch;
  /** What SignalR has to be given to trust the same; `trouble` is what it makes only words of. */
  signalr(): { options: IHttpConnectionOptions; trouble(): Untrusted | undefined };
}

const inNode = (): boolean => typeof process !== "undefined" && process.versions?.node !== undefined;

declare const process: { env: Record<string, string | undefined>; versions?: { node?: string } } | undefined;

export const environment = (name: string): string | undefined =>
  typeof process === "undefined" ? undefined : process.env[name] || undefined;

/** Options go before the environment, all of them: a pin of the environment says nothing of a `ca` that was given. */
export function wantedTrust(url: string, options: TrustOptions): Wanted {
  const given = options.ca !== undefined || options.caPin !== undefined;
  if (!given && !url.startsWith("https:")) return {};
  const pick = <T>(value: T | undefined, name: string, variable: string) =>
    value !== undefined ? { value, name } : given ? undefined : fromEnvironment(variable);
  const ca = pick(options.ca, "ca", "GERES_CA");
  // In the environment the authority goes before, as for the other clients; who gives both here means both.
  const pin = !given && ca ? undefined : pick(options.caPin, "caPin", "GERES_CA_PIN");
  if (given && !inNode())
    throw new BadOption(
      `${options.ca !== undefined ? "ca" : "caPin"}: a browser decides by itself whom it trusts, and a page cannot change ` +
        "that; leave it out, and have the system or the browser trust the hub's certificate authority",
    );
  if (pin && !/^sha256:[0-9a-f]{64}$/i.test(pin.value))
    throw new BadOption(
      `${pin.name}: must be "sha256:" and 64 hex digits, the SHA-256 of a certificate's public key ` +
        `(SubjectPublicKeyInfo), not ${JSON.stringify(pin.value.slice(0, 100))}`,
    );
  if (given && !url.startsWith("https:"))
    throw new BadOption(`${(ca ?? pin)!.name}: there is no certificate at ${url}; the address must begin with https://`);
  return { ...(ca ? { ca } : {}), ...(pin ? { pin: { ...pin, value: pin.value.toLowerCase() } } : {}) };
}

function fromEnvironment(name: string): { value: string; name: string } | undefined {
  const value = environment(name);
  return value === undefined ? undefined : { value, name };
}

/** Undefined where the system's own trust is meant. */
export async function trustOf(url: string, wanted: Wanted): Promise<Trust | undefined> {
  if (!wanted.ca && !wanted.pin) return undefined;
  return (await import("#trust")).NodeTrust.of(url, wanted);
}

/** Why a call failed, if that was the hub's certificate. */
export async function certificateTrouble(url: string, trouble: unknown): Promise<Untrusted | undefined> {
  if (!inNode() || !url.startsWith("https:")) return undefined;
  return (await import("#trust")).explain(url, {}, trouble);
}

export async function systemSignalr(url: string): Promise<IHttpConnectionOptions> {
  return inNode() && url.startsWith("https:") ? (await import("#trust")).systemSignalr() : {};
}
