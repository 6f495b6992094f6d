// SPDX-License-Identifier: Apache-2.0
// A broker in miniature, built on the AMQP 1.0 library rhea: takes messages and does with each as it was told on its
// standard input, telling what it got as lines of JSON.
//   node amqp_broker.mjs MODULES PORT [--tls KEY CERT] [--login USER PASSWORD] [--refuse]
//     [--claims ISSUER AUDIENCE ENTITY [KEYNAME KEY]]: links only to who has put a token, see amqp_claims.mjs
//     MODULES: the node_modules that have rhea; PORT 0: the kernel's choice; --refuse: links are, with an error
//   accept · hold                       what is done with messages that no rule is for; at first: accept
//   rule {"property": P, "value": V, "do": accept|reject|release|modify|hold, "times": N}
//   rule {"every": N, "do": …}          each Nth message
//   claims good|deny|absent|mute|strange  how tokens are answered: by what they are, 404, or not at all
//   cut · close · detach                ends all connections without a word, or with an error; ends the links
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import path from "node:path";
import { claims } from "./amqp_claims.mjs";

const [modules, port, ...flags] = process.argv.slice(2);
const rhea = createRequire(path.join(modules, "x.js"))("rhea");
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
const words = (flag, n) => (flags.includes(flag) ? flags.slice(flags.indexOf(flag) + 1, flags.indexOf(flag) + 1 + n) : null);

const container = rhea.create_container({ id: "broker" });
const options = { port: Number(port), host: "127.0.0.1", autoaccept: false, receiver_options: { autoaccept: false } };
const tls = words("--tls", 2);
if (tls) Object.assign(options, { transport: "tls", key: readFileSync(tls[0]), cert: readFileSync(tls[1]) });
const login = words("--login", 2);
if (login)
  container.sasl_server_mechanisms.enable_plain((user, password) => {
    say("login", { user, right: user === login[0] && password === login[1] });
    return user === login[0] && password === login[1];
  });

let usual = "accept", count = 0;
const rules = [], receivers = new Set(), sockets = new Set();

function whatToDo(properties) {
  ++count;
  for (const rule of rules) {
    if (rule.times === 0) continue;
    if (rule.every ? count % rule.every : properties[rule.property] !== rule.value) continue;
    if (rule.times) --rule.times;
    return rule.do;
  }
  return usual;
}

// rhea may write one outcome for two neighbours that differ: each kind gets a turn of its own.
const outcomes = [];
function settle() {
  const [kind] = outcomes[0];
  while (outcomes.length && outcomes[0][0] === kind) {
    const [, delivery] = outcomes.shift();
    if (kind === "accept") delivery.accept();
    if (kind === "reject") delivery.reject({ condition: "amqp:not-allowed", description: "not of my taste" });
    if (kind === "release") delivery.release();
    if (kind === "modify") delivery.modified({ delivery_failed: true });
  }
  if (outcomes.length) setImmediate(settle);
}

const guard = flags.includes("--claims") ? claims(container, flags.slice(flags.indexOf("--claims") + 1), say) : null;

container.on("receiver_open", ({ receiver }) => {
  if (guard && !guard.lets_in(receiver)) return;
  if (flags.includes("--refuse")) {
    receiver.set_target(null);
    return receiver.close({ condition: "amqp:not-found", description: "there is no such address" });
  }
  receiver.set_target(receiver.remote.attach.target);
  receivers.add(receiver);
  say("link", { address: receiver.remote.attach.target.address, hostname: receiver.connection.remote.open.hostname });
});
container.on("receiver_close", ({ receiver }) => receivers.delete(receiver));
container.on("message", ({ message, delivery, receiver }) => {
  if (guard?.takes(message, delivery, receiver)) return;
  if (!receivers.has(receiver)) return; // sent before the other side heard that the link is closed
  const properties = message.application_properties;
  const did = whatToDo(properties);
  say("message", {
    did, id: message.message_id, subject: message.subject, contentType: message.content_type, durable: message.durable,
    groupId: message.group_id, created: message.creation_time, properties,
    section: message.body.typecode === 0x75 || message.body.multiple !== undefined ? "data" : typeof message.body,
    data: JSON.parse(message.body.content.toString()),
  });
  if (did !== "hold" && outcomes.push([did, delivery]) === 1) setImmediate(settle);
});
for (const trouble of ["disconnected", "connection_error", "protocol_error", "error"])
  container.on(trouble, (context) => say(trouble, { error: String(context.error ?? "") }));

const server = container.listen(options);
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
server.on("listening", () => say("listening", { port: server.address().port }));

const failure = { condition: "amqp:internal-error", description: "the broker stumbled" };
createInterface({ input: process.stdin }).on("line", (line) => {
  const [verb, ...rest] = line.split(" ");
  if (verb === "accept" || verb === "hold") usual = verb;
  if (verb === "rule") rules.push(JSON.parse(rest.join(" ")));
  if (verb === "cut") for (const socket of sockets) socket.destroy();
  const links = [...receivers];
  if (verb === "close" || verb === "detach") receivers.clear();
  if (verb === "close") for (const connection of new Set(links.map((r) => r.connection))) connection.close(failure);
  if (verb === "detach") for (const receiver of links) receiver.close(failure);
  if (guard && verb === "claims") guard.behave(rest[0]);
  say("done", { verb });
}).on("close", () => process.exit());
