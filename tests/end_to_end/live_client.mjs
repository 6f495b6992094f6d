// SPDX-License-Identifier: Apache-2.0
// A browser's WebSocket: sends lines of its standard input, tells what it hears as lines of JSON.
//   node live_client.mjs MODULES URL COOKIE ORIGIN      MODULES: node_modules that have ws
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import path from "node:path";

const [modules, url, cookie, origin] = process.argv.slice(2);
const WebSocket = createRequire(path.join(modules, "x.js"))("ws");
const say = (what) => console.log(JSON.stringify(what));

const socket = new WebSocket(url, { headers: { Cookie: cookie }, origin });
socket.on("open", () => {
  say({ open: true });
  createInterface({ input: process.stdin }).on("line", (line) => socket.send(line)).on("close", () => socket.close());
});
socket.on("message", (text) => console.log(text.toString()));
socket.on("unexpected-response", (_, response) => {
  say({ refused: response.statusCode });
  process.exit(0);
});
socket.on("close", (code) => {
  say({ closed: code });
  process.exit(0);
});
socket.on("error", (error) => say({ error: error.message }));
