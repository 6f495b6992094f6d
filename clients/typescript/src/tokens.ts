// SPDX-License-Identifier: Apache-2.0
// The token that calls are made with: one for good, or those of a source that gives a new one now and then.
import { NoToken } from "./errors.js";

/** A token, with when it ends if that is known: a date, its text, or milliseconds since 1970. */
export type GivenToken = string | { token: string; expiresAt?: Date | string | number };
export type TokenSource = () => GivenToken | Promise<GivenToken>;

const quietAfterTrouble = 5_000;

export class Tokens {
  private token: string | undefined;
  private end = Number.POSITIVE_INFINITY;
  private renewAt = Number.POSITIVE_INFINITY;
  private asked: Promise<string> | undefined;

  constructor(
    fixed: string | undefined,
    private readonly source?: TokenSource,
  ) {
    if (!source) this.token = fixed ?? "";
  }

  /** One that is good now. A new one is asked for when two thirds of a token's life are over; the old one serves meanwhile. */
  async current(): Promise<string> {
    const now = Date.now();
    if (this.token !== undefined && now < this.end) {
      if (now >= this.renewAt) this.ask().catch(() => undefined);
      return this.token;
    }
    return this.ask();
  }

  /** After a 401 to a call with `used`: is there another one? Calls that failed together ask once. */
  async another(used: string): Promise<boolean> {
    if (!this.source) return false;
    if (this.token === used) await this.ask();
    return true;
  }

  private ask(): Promise<string> {
    this.asked ??= this.take().finally(() => {
      this.asked = undefined;
    });
    return this.asked;
  }

  private async take(): Promise<string> {
    const begun = Date.now();
    let given: GivenToken;
    try {
      given = await this.source!();
    } catch (error) {
      this.renewAt = Date.now() + quietAfterTrouble;
      throw new NoToken((error as Error)?.message ?? String(error), { cause: error });
    }
    const { token, expiresAt } = typeof given === "string" ? { token: given, expiresAt: undefined } : (given ?? {});
    if (typeof token !== "string" || token === "")
      throw new NoToken("it must give a text, or {token, expiresAt} with the text in `token`");
    const end = expiresAt === undefined ? Number.POSITIVE_INFINITY : new Date(expiresAt).getTime();
    if (Number.isNaN(end)) throw new NoToken(`expiresAt is no time: ${JSON.stringify(expiresAt)}`);
    this.token = token;
    this.end = end;
    this.renewAt = begun + ((end - begun) * 2) / 3;
    return token;
  }
}
