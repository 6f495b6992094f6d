// SPDX-License-Identifier: Apache-2.0
// Receives a hub's events from an AMQP 1.0 broker and prints the type and subject of each, once.
//   npm ci
//   node receive.mjs amqp[s]://HOST[:PORT]/ADDRESS      USER_NAME and PASSWORD in the environment
import rhea from "rhea";

const [, scheme, host, port, address] = /^(amqps?):\/\/([^/:]+)(?::(\d+))?\/(.+)$/.exec(process.argv[2]) ?? [];
if (!address) throw new Error("node receive.mjs amqp[s]://HOST[:PORT]/ADDRESS");

// [receive]
const seen = new Set(); // a real receiver keeps the ids beside what it makes of the events, in one transaction

function handle(message) {
  if (seen.has(message.message_id)) return; // sent again
  const event = JSON.parse(message.body.content.toString());
  if (message.subject === "geres.gap") console.log("gap", event.until); // look at the jobs themselves
  else console.log(message.subject, event.id);
  seen.add(message.message_id);
}

rhea.on("message", ({ message, delivery }) => {
  handle(message);
  delivery.accept(); // only now: if this process dies before, the broker delivers the message again
});
// [receive]

rhea.on("receiver_open", () => console.error("receiving"));
rhea.on("disconnected", ({ error }) => error && console.error(error.message));
rhea
  .connect({
    transport: scheme === "amqps" ? "tls" : "tcp",
    host,
    port: Number(port ?? (scheme === "amqps" ? 5671 : 5672)),
    servername: host,
    username: process.env.USER_NAME,
    password: process.env.PASSWORD,
  })
  .open_receiver({ source: address, autoaccept: false });
