// SPDX-License-Identifier: Apache-2.0
// Claims-based security for amqp_broker.mjs, as Azure Service Bus has it: a token is put at the node $cbs before
// anything else; it is checked by the keys of its issuer, or by a shared key, and when it ends the links end.
import crypto from "node:crypto";

const SIGNED = /^SharedAccessSignature sr=([^&]+)&sig=([^&]+)&se=(\d+)&skn=([^&]+)$/;

export function claims(container, [issuer, audience, entity, keyName, key], say) {
  const replies = new Map(); // by connection and address
  const ends = new Map(); // connection → when its token ends, in ms
  const links = new Map(); // connection → its links to other nodes
  let how = "good";

  async function check_jwt(text) {
    const [head, body, signature] = text.split(".");
    const { kid } = JSON.parse(Buffer.from(head, "base64url"));
    const about = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    const { keys } = await (await fetch(about.jwks_uri)).json();
    const jwk = keys.find((k) => k.kid === kid);
    const good = jwk && crypto.verify("sha256", Buffer.from(`${head}.${body}`), crypto.createPublicKey({ key: jwk, format: "jwk" }), Buffer.from(signature, "base64url"));
    const said = JSON.parse(Buffer.from(body, "base64url"));
    if (!good) return [401, "InvalidSignature: The token has an invalid signature."];
    if (said.iss !== issuer) return [401, "InvalidIssuer: The token's issuer is not trusted."];
    if (said.aud !== audience) return [401, `InvalidAudience: The authorization header contains a token for '${said.aud}'.`];
    return [202, "Accepted", said.exp * 1000, said];
  }

  function check_signature(text) {
    const [, resource, signature, end, name] = SIGNED.exec(text) ?? [];
    if (!resource || name !== keyName) return [401, "InvalidSignature: not of a key that is known"];
    const right = crypto.createHmac("sha256", key).update(`${resource}\n${end}`).digest("base64");
    if (decodeURIComponent(signature) !== right) return [401, "InvalidSignature: The token has an invalid signature."];
    if (decodeURIComponent(resource) !== entity) return [401, "InvalidAudience: of another entity"];
    return [200, "OK", Number(end) * 1000, { skn: name }];
  }

  async function judge(properties, text) {
    if (how === "deny") return [401, "Unauthorized access."];
    if (how === "absent") return [404, "The messaging entity could not be found."];
    if (properties.operation !== "put-token") return [400, "only put-token"];
    if (properties.name !== entity) return [404, `there is no entity '${properties.name}'`];
    return properties.type === "jwt" ? check_jwt(text) : properties.type === "servicebus.windows.net:sastoken" ? check_signature(text) : [400, "unknown type"];
  }

  function end_links(connection) {
    if (!(ends.get(connection) <= Date.now())) return;
    say("expired");
    ends.delete(connection);
    for (const link of links.get(connection) ?? []) link.close({ condition: "amqp:unauthorized-access", description: "ExpiredToken: the token has expired" });
    links.delete(connection);
  }

  container.on("sender_open", ({ sender }) => {
    sender.set_source(sender.remote.attach.source);
    sender.set_target(sender.remote.attach.target);
    replies.set(sender.remote.attach.target.address, sender);
  });

  return {
    behave: (words) => (how = words),
    // Whether a link goes the usual way; the node's is opened here, and nobody else's without a token.
    lets_in(receiver) {
      const { address } = receiver.remote.attach.target;
      if (address === "$cbs") {
        if (how === "away") {
          receiver.set_target(null);
          receiver.close({ condition: "amqp:not-found", description: "no node '$cbs'" });
        } else receiver.set_target(receiver.remote.attach.target);
        return false;
      }
      if (ends.get(receiver.connection) > Date.now()) {
        links.set(receiver.connection, [...(links.get(receiver.connection) ?? []), receiver]);
        return true;
      }
      receiver.set_target(null);
      receiver.close({ condition: "amqp:unauthorized-access", description: "Unauthorized access. 'Send' claim(s) are required" });
      return false;
    },
    takes(message, delivery, receiver) {
      if (receiver.remote.attach.target.address !== "$cbs") return false;
      delivery.accept();
      const { connection } = receiver;
      judge(message.application_properties, message.body).then(([status, words, end, told]) => {
        say("token", { status, words, type: message.application_properties.type, name: message.application_properties.name, told });
        if (how === "mute") return;
        if (end) {
          ends.set(connection, end);
          setTimeout(() => end_links(connection), Math.max(0, end - Date.now()) + 1);
        }
        const properties = how === "strange" ? { hello: "world" } : { "status-code": status, "status-description": words };
        replies.get(message.reply_to).send({ correlation_id: message.message_id, application_properties: properties, body: null });
      });
      return true;
    },
  };
}
