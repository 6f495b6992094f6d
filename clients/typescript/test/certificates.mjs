// SPDX-License-Identifier: Apache-2.0
// Certificate authorities and servers' certificates, made by openssl for a test; and servers that show them.
import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";

export const directory = mkdtempSync(join(tmpdir(), "geres-tls-"));
const openssl = (...words) => execFileSync("openssl", words, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
const read = (name) => readFileSync(join(directory, name), "utf8");
export const pinOf = (pem) =>
  "sha256:" + createHash("sha256").update(new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" })).digest("hex");

let made = 0;
function key(name) {
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`);
}

function sign(name, subject, extensions, issuer, days) {
  writeFileSync(join(directory, `${name}.ext`), extensions);
  openssl("req", "-new", "-key", `${name}.key`, "-subj", subject, "-out", `${name}.csr`);
  const by = issuer ? ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`] : ["-signkey", `${name}.key`];
  const serial = ["-set_serial", String(++made + Date.now())];
  openssl("x509", "-req", "-in", `${name}.csr`, ...by, ...serial, "-days", String(days), "-extfile", `${name}.ext`, "-out", `${name}.crt`);
}

const issues = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
/** An authority: a root, or one below `issuer`. With `keyOf` it is another certificate of the same key. */
export function authority(name, { issuer, keyOf, days = 30 } = {}) {
  if (keyOf) writeFileSync(join(directory, `${name}.key`), read(`${keyOf}.key`));
  else key(name);
  sign(name, `/CN=${name}`, issues, issuer, days);
  return { name, pem: read(`${name}.crt`), path: join(directory, `${name}.crt`), pin: pinOf(read(`${name}.crt`)) };
}

/** A server's certificate, and after it in its chain those that are to be sent with it. */
export function leaf(name, issuer, { names = "DNS:localhost,IP:127.0.0.1", days = 5, chain = [] } = {}) {
  key(name);
  const alternative = names ? `subjectAltName=${names}\n` : "";
  sign(name, "/CN=localhost", `basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n${alternative}`, issuer, days);
  const pem = read(`${name}.crt`);
  return { cert: [pem, ...chain.map((one) => one.pem)].join(""), key: read(`${name}.key`), pin: pinOf(pem) };
}

/**
 * TLS before the address of a plain server: `use` is told its address and may change what it shows, and `later` has whose
 * certificate it shows from which connection on.
 */
export async function withTls(shown, target, use, later) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  const server = tls.createServer(shown, (secure) => {
    const plain = connect(Number(port), hostname);
    for (const one of [secure, plain]) {
      sockets.add(one);
      one.on("error", () => undefined).on("close", () => (secure.destroy(), plain.destroy(), sockets.delete(one)));
    }
    secure.pipe(plain).pipe(secure);
  });
  let connections = 0;
  server.prependListener("connection", () => ++connections === later?.from && server.setSecureContext(later.thief));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await use(`https://localhost:${server.address().port}`, {
      show: (other) => server.setSecureContext(other),
      cut: () => sockets.forEach((one) => one.destroy()),
    });
  } finally {
    sockets.forEach((one) => one.destroy());
    server.close();
  }
}
