// SPDX-License-Identifier: Apache-2.0
// Checks who called and when: in Node, Deno, Bun, a worker or a browser, which all have WebCrypto.

// [verify]
/** True: the hub that knows the secret sent this body, in the last five minutes. */
export async function verify(secret: string, headers: Headers, body: string, now = Date.now()): Promise<boolean> {
  const id = headers.get("webhook-id"), timestamp = headers.get("webhook-timestamp");
  if (!id || !timestamp || Math.abs(now / 1000 - Number(timestamp)) > 300) return false; // an old call, sent again
  const bytes = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes(secret.replace(/^whsec_/, "")), algorithm, false, ["verify"]);
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  for (const given of (headers.get("webhook-signature") ?? "").split(" "))
    if (given.startsWith("v1,") && (await crypto.subtle.verify("HMAC", key, bytes(given.slice(3)), signed))) return true;
  return false;
}
// [verify]
