// SPDX-License-Identifier: Apache-2.0
// What can go wrong, as the hub says it (RFC 9457) or as this side sees it.

/** The hub refused. `code` is stable; `field` names what is wrong, `hint` what would be right. */
export class GeresError extends Error {
  override readonly name: string = "GeresError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** Whatever answered, it is no hub: a login page, another server at that address. */
export class Foreign extends GeresError {
  override readonly name: string = "Foreign";
  constructor(url: string, status: number, said: string) {
    const words = said === "" ? "nothing" : JSON.stringify(said.slice(0, 200));
    const hint = "check the address, and what stands between here and the hub";
    super(status, "foreign", `something else than a hub answers at ${url}: HTTP ${status}, ${words}`, undefined, hint);
  }
}

/**
 * The hub could not be reached, or did not answer in time, also after repeating. What may not be sent twice (`redrive`,
 * `createBatch`) may have been done.
 */
export class Unreachable extends Error {
  override readonly name: string = "Unreachable";
  constructor(url: string, why: string, options?: ErrorOptions) {
    super(`no answer from the hub at ${url}: ${why}`, options);
  }
}

/** The hub's certificate is not one that this client is to trust: nothing was sent. Asking again does not help. */
export class Untrusted extends Unreachable {
  override readonly name: string = "Untrusted";
  constructor(
    url: string,
    readonly what: string,
    readonly expected: string,
    readonly came: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(url, what, options);
    this.message = `nothing was sent to the hub at ${url}: ${what}. Expected: ${expected}. Came: ${came}. ${hint}`;
  }
}

/** An option that cannot be used; the message begins with its name. */
export class BadOption extends Error {
  override readonly name: string = "BadOption";
}

/** `tokenSource` gave no token: whatever it threw is the `cause`. */
export class NoToken extends Error {
  override readonly name: string = "NoToken";
  constructor(why: string, options?: ErrorOptions) {
    super(`tokenSource gave no token: ${why}`, options);
  }
}

/** A JSON object or list; undefined: the text is something else. */
export function structureOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

export function errorOf(url: string, status: number, text: string): GeresError | Unreachable {
  type Problem = { code?: string; detail?: string; title?: string; field?: string; hint?: string };
  const { code, detail, title, field, hint }: Problem = structureOf(text) ?? {};
  if (code !== undefined) return new GeresError(status, code, detail ?? title ?? `HTTP ${status}`, field, hint);
  // A proxy before the hub says so in its own words.
  if (status >= 502 && status <= 504) return new Unreachable(url, `a proxy on the way says HTTP ${status}`);
  return new Foreign(url, status, text);
}
