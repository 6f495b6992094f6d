// SPDX-License-Identifier: Apache-2.0
// Certificates of Node: reading them, asking a server for its own, checking its name, and saying what is wrong with them.
import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as tls from "node:tls";
import { BadOption, Untrusted } from "./errors.js";
import type { Wanted } from "./trust.js";

const block = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const longestLook = 10_000;

/** The SHA-256 of its public key, as `caPin` has it. */
export const pinOf = (one: X509Certificate): string =>
  "sha256:" + createHash("sha256").update(one.publicKey.export({ type: "spki", format: "der" })).digest("hex");

/** PEM text, or what is in the file of that path. */
export async function readCertificates({ value, name }: NonNullable<Wanted["ca"]>): Promise<X509Certificate[]> {
  const text = typeof value === "string" ? value : new TextDecoder().decode(value);
  const isPath = typeof value === "string" && !value.includes("-----BEGIN");
  const pem = isPath
    ? await readFile(value, "utf8").catch((error: Error) => {
        throw new BadOption(`${name}: ${error.message}; give the path of a file with certificates in PEM, or their text`);
      })
    : text;
  const blocks = pem.match(block);
  if (blocks === null)
    throw new BadOption(`${name}: ${isPath ? `${value} has` : "there is"} no certificate in PEM (-----BEGIN CERTIFICATE-----)`);
  return blocks.map((one) => {
    try {
      return new X509Certificate(one);
    } catch (error) {
      throw new BadOption(`${name}: one of its certificates cannot be read: ${(error as Error).message}`);
    }
  });
}

export function whereIs(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 443) };
}

/** What the server shows, its own certificate first. Nothing is sent and nothing trusted. */
export function shownBy(url: string): Promise<X509Certificate[]> {
  const { host, port } = whereIs(url);
  return new Promise((resolve, reject) => {
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    const socket = tls.connect({ host, port, ...name, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
    socket.setTimeout(longestLook, () => socket.destroy(new Error(`no handshake within ${longestLook / 1_000} s`)));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const chain: X509Certificate[] = [];
      for (let one = socket.getPeerCertificate(true); one?.raw; one = one.issuerCertificate) {
        const made = new X509Certificate(one.raw);
        if (chain.some((had) => had.fingerprint256 === made.fingerprint256)) break;
        chain.push(made);
      }
      socket.destroy();
      resolve(chain);
    });
  });
}

/** As RFC 9525 has it: the names are the alternative ones, the subject's common name is none. */
export function checkName(host: string, certificate: tls.PeerCertificate): Error | undefined {
  if (certificate.subjectaltname) return tls.checkServerIdentity(host, certificate);
  return Object.assign(new Error("it has no subject alternative name"), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
}

/** The code of what is wrong with a certificate, wherever in an error it hides. */
export function certificateCode(trouble: unknown): string | undefined {
  for (let one = trouble as { code?: unknown; cause?: unknown } | undefined, i = 0; one && i < 8; one = one.cause as typeof one, i++)
    if (typeof one.code === "string" && certificateCodes.test(one.code)) return one.code;
  return undefined;
}
const certificateCodes =
  /^(CERT_|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|ERR_TLS_CERT_)/;

const line = (text: string): string => text.trim().replaceAll("\n", ", ");
const day = (text: string): string => new Date(text).toISOString().slice(0, 19) + "Z";
const names = (one: X509Certificate): string =>
  one.subjectAltName ?? `no name (the common name in "${line(one.subject)}" counts for nothing)`;
export const describe = (one: X509Certificate): string => `"${line(one.subject) || "no subject"}" with the key ${pinOf(one)}`;

export function untrusted(
  url: string,
  wanted: { authorities: X509Certificate[]; pin?: string | undefined },
  code: string,
  shown: X509Certificate[],
  cause: unknown,
): Untrusted {
  const [own] = shown;
  const say = (what: string, expected: string, came: string, hint: string) =>
    new Untrusted(url, what, expected, came, hint, { cause });
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return say(
      "its certificate is for another name",
      whereIs(url).host,
      own ? names(own) : "nothing that can be read",
      "Use an address that it names, or give the hub a certificate with this name among its subject alternative names.",
    );
  const late = shown.find((one) => Date.parse(one.validTo) < Date.now());
  const early = shown.find((one) => Date.parse(one.validFrom) > Date.now());
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    const one = late ?? early ?? own;
    return say(
      code === "CERT_HAS_EXPIRED" ? "its certificate has expired" : "its certificate is not valid yet",
      `one that is valid now, ${day(new Date().toISOString())}`,
      one ? `${describe(one)}, valid from ${day(one.validFrom)} to ${day(one.validTo)}` : "nothing that can be read",
      "Renew it where the hub runs; or is the clock here wrong?",
    );
  }
  const authorities = wanted.authorities.map(describe).join(" or ");
  return say(
    "its certificate is not to be trusted" + (code === "pin" ? "" : ` (${code})`),
    wanted.pin && code === "pin"
      ? `a certificate with the key ${wanted.pin} in its chain`
      : `a chain to ${authorities || "an authority that this system trusts"}`,
    shown.map(describe).join(", issued by ") || "no certificate",
    "If that is your hub, compare the key with what the hub's operator says, and give `caPin` (GERES_CA_PIN) that key, or " +
      "`ca` (GERES_CA) its authority's certificate; else somebody is between you and your hub.",
  );
}
