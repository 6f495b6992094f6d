// SPDX-License-Identifier: Apache-2.0
// Whom the client takes for its hub: servers with good and bad certificates of authorities that were made for this test.
// Behind them is the real hub of GERES_HUB and GERES_TOKEN.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { HttpTransportType } from "@microsoft/signalr";
import { BadOption, Geres, Unreachable, Untrusted } from "../dist/index.js";
import { authority, directory, leaf, withTls } from "./certificates.mjs";

after(() => rm(directory, { recursive: true }));

const plain = /^http/.test(process.env.GERES_HUB) ? process.env.GERES_HUB : `http://${process.env.GERES_HUB}`;
const ours = authority("ours");
const others = authority("others");
const below = authority("below", { issuer: "ours" });
const good = leaf("good", "ours", { chain: [ours] });
const batch = { name: `tls-${Date.now()}`, tenant: "demo" };
/** The names of options, and what is wrong with what, are to be read. */
const refused = (expected, came) => (error) => {
  assert.ok(error instanceof Untrusted && error instanceof Unreachable, String(error.stack));
  assert.match(error.expected, expected);
  assert.match(error.came, came);
  assert.ok(error.message.includes(error.expected) && error.message.includes(error.came) && error.message.includes(error.hint));
  assert.match(error.hint, /[A-Z].*\.|\?$/);
  return true;
};
const quick = { patience: 60_000 }; // none of it is waited for where a certificate is wrong

test("an authority of one's own, as text, as bytes, as a file, by the environment", () =>
  withTls(good, plain, async (url) => {
    for (const ca of [ours.pem, Buffer.from(others.pem + ours.pem), ours.path]) {
      const geres = new Geres({ url, ca });
      for await (const job of geres.jobs({ tenant: "none" })) assert.fail(job);
    }
    await new Geres({ url: url.replace("localhost", "127.0.0.1"), ca: ours.pem }).createBatch(batch);
    process.env.GERES_CA = ours.path;
    try {
      assert.equal((await new Geres({ url }).batch(batch.name)).name, batch.name);
      await assert.rejects(new Geres({ url, ca: others.pem, ...quick }).batch(batch.name), Untrusted);
      process.env.GERES_CA_PIN = others.pin;
      assert.equal((await new Geres({ url }).batch(batch.name)).name, batch.name);
    } finally {
      delete process.env.GERES_CA;
      delete process.env.GERES_CA_PIN;
    }
  }));

test("without either, the system is asked, and what to do is said at once", () =>
  withTls(good, plain, async (url) => {
    await assert.rejects(new Geres({ url, ...quick }).batch("b"), (error) => {
      assert.match(error.hint, /GERES_CA_PIN/);
      return refused(/authority that this system trusts/, new RegExp(`${good.pin}.*issued by.*${ours.pin}`))(error);
    });
    await assert.rejects(new Geres({ url, ...quick }).notifications({}), Untrusted);
  }));

test("a pin of the authority, of one below it, of the certificate itself; with an authority both have to hold", async () => {
  const middle = leaf("middle", "below", { chain: [below, ours] });
  await withTls(middle, plain, async (url) => {
    for (const caPin of [ours.pin, below.pin, middle.pin, ours.pin.toUpperCase().replace("SHA256", "sha256")])
      assert.ok(await new Geres({ url, caPin }).batch(batch.name), caPin);
    assert.ok(await new Geres({ url, ca: ours.pem, caPin: below.pin }).batch(batch.name));
    await assert.rejects(new Geres({ url, ca: ours.pem, caPin: others.pin, ...quick }).batch("b"), refused(new RegExp(others.pin), new RegExp(middle.pin)));
    await assert.rejects(new Geres({ url, ca: others.pem, caPin: ours.pin, ...quick }).batch("b"), Untrusted);
    process.env.GERES_CA_PIN = ours.pin;
    try {
      assert.ok(await new Geres({ url }).batch(batch.name));
    } finally {
      delete process.env.GERES_CA_PIN;
    }
  });
});

test("a wrong pin", () =>
  withTls(good, plain, async (url) => {
    const geres = new Geres({ url, caPin: others.pin, ...quick });
    const wrong = refused(new RegExp(others.pin), new RegExp(`${good.pin}.*${ours.pin}`));
    await assert.rejects(geres.batch("b"), wrong);
    await assert.rejects(geres.file("j", "f"), wrong);
    await assert.rejects(geres.notifications({}), wrong);
    const events = geres.events();
    await assert.rejects(events.next(), wrong);
  }));

test("a chain that only looks like the pinned authority's", async () => {
  // Signed by others, but shown together with the certificate that is pinned.
  const forged = leaf("forged", "others", { chain: [ours] });
  await withTls(forged, plain, (url) => assert.rejects(new Geres({ url, caPin: ours.pin, ...quick }).batch("b"), Untrusted));
});

for (const [name, shown, expected, came] of [
  ["of another authority", leaf("foreign", "others", { chain: [others] }), /"CN=ours"|sha256:/, /CN=others/],
  ["that has expired", leaf("late", "ours", { days: -1, chain: [ours] }), /valid now/, /CN=localhost.* to 20/],
  ["for another name", leaf("elsewhere", "ours", { names: "DNS:elsewhere.example", chain: [ours] }), /^localhost$/, /elsewhere\.example/],
  ["with a common name alone", leaf("common", "ours", { names: "", chain: [ours] }), /^localhost$/, /common name/],
])
  test(`a certificate ${name}`, () =>
    withTls(shown, plain, async (url) => {
      for (const trusted of [{ ca: ours.pem }, { caPin: ours.pin }]) {
        const geres = new Geres({ url, ...trusted, ...quick });
        await assert.rejects(geres.batch("b"), refused(expected, came), JSON.stringify(trusted));
        await assert.rejects(geres.notifications({}), refused(expected, came));
      }
    }));

test("a pinned certificate has to be for its name and valid, too", async () => {
  const other = leaf("pinned-name", "others", { names: "DNS:elsewhere.example" });
  await withTls(other, plain, (url) =>
    assert.rejects(new Geres({ url, caPin: other.pin, ...quick }).batch("b"), refused(/localhost/, /elsewhere/)),
  );
  const late = leaf("pinned-late", "others", { days: -1 });
  await withTls(late, plain, (url) =>
    assert.rejects(new Geres({ url, caPin: late.pin, ...quick }).batch("b"), refused(/valid now/, /localhost/)),
  );
});

test("downloads, events and the live stream over every transport, by authority and by pin", () =>
  withTls(good, plain, async (url) => {
    for (const trusted of [{ ca: ours.pem }, { caPin: ours.pin }]) {
      const geres = new Geres({ url, ...trusted });
      const stop = new AbortController();
      const events = geres.events({ after: "start", signal: stop.signal });
      const { id } = await geres.submit({
        tenant: "demo",
        type: "Shell",
        package: "shell",
        parameters: { script: 'echo said; printf kept > "$GERES_OUTPUT_DIR/file"' },
      });
      assert.equal((await geres.wait(id)).state, "finished");
      assert.equal(await geres.log(id), "said\n");
      assert.equal(new TextDecoder().decode(await geres.file(id, "file")), "kept");
      for await (const event of events) if (event.subject?.includes(id)) break;
      stop.abort();
      for (const transport of [HttpTransportType.WebSockets, HttpTransportType.ServerSentEvents, HttpTransportType.LongPolling]) {
        let tell;
        const told = new Promise((resolve) => (tell = resolve));
        const live = await geres.notifications({ completed: tell }, transport);
        await live.subscribeToJob(id);
        assert.equal((await told).id, id);
        await live.close();
      }
    }
  }));

test("an authority whose certificate is made anew with the same key stays the pinned one", () =>
  withTls(good, plain, async (url, server) => {
    const geres = new Geres({ url, caPin: ours.pin });
    assert.ok(await geres.batch(batch.name));
    const renewed = authority("renewed", { keyOf: "ours" });
    server.show(leaf("renewed-leaf", "renewed", { chain: [renewed] }));
    server.cut();
    assert.ok(await geres.batch(batch.name));
    server.show(leaf("taken", "others", { chain: [others] }));
    server.cut();
    await assert.rejects(new Geres({ url, caPin: ours.pin, ...quick }).batch("b"), Untrusted);
    await assert.rejects(geres.batch(batch.name), Untrusted);
  }));

test("a hub that is away is waited for, pinned or not", async () => {
  let url;
  await withTls(good, plain, (at) => {
    url = at;
  });
  await assert.rejects(new Geres({ url, caPin: ours.pin, patience: 50 }).batch("b"), (e) => e instanceof Unreachable && !(e instanceof Untrusted));
});

test("nothing is sent to a server that is not trusted", async () => {
  const asked = [];
  const hub = createServer((call, to) => (asked.push(call.url), to.end("{}")));
  await new Promise((listening) => hub.listen(0, "127.0.0.1", listening));
  try {
    await withTls(leaf("thief", "others", { chain: [others] }), `http://127.0.0.1:${hub.address().port}`, async (url) => {
      for (const trusted of [{ ca: ours.pem }, { caPin: ours.pin }, {}]) {
        const geres = new Geres({ url, token: "secret", ...trusted, ...quick });
        await assert.rejects(geres.submit({}), Untrusted);
        for (const transport of [undefined, HttpTransportType.ServerSentEvents])
          await assert.rejects(geres.notifications({}, transport), Untrusted);
      }
    });
    assert.deepEqual(asked, []);
  } finally {
    hub.close();
  }
});

test("the live stream's own connections are verified, too", async () => {
  // Somebody who comes between after the first call gets no token.
  const thief = leaf("late-thief", "others", { chain: [others] });
  const asked = [];
  const hub = createServer((call, to) => {
    asked.push(call.url);
    to.end(JSON.stringify({ connectionId: "c", connectionToken: "c", negotiateVersion: 1, availableTransports: [
      { transport: "WebSockets", transferFormats: ["Text"] }, { transport: "ServerSentEvents", transferFormats: ["Text"] }] }));
  });
  hub.on("upgrade", (call, socket) => (asked.push(call.url), socket.destroy()));
  await new Promise((listening) => hub.listen(0, "127.0.0.1", listening));
  const plain = `http://127.0.0.1:${hub.address().port}`;
  try {
    for (const transport of [HttpTransportType.WebSockets, HttpTransportType.ServerSentEvents]) {
      const refuse = async (url, trusted) => {
        const geres = new Geres({ url, token: "secret", ...trusted, answerTimeout: 5_000 });
        await assert.rejects(geres.notifications({}, transport));
        assert.ok(!asked.splice(0).some((path) => path.startsWith("/hubs/jobs?")), `transport ${transport}`);
      };
      // A pin is looked at with a connection of its own before the first call.
      await withTls(good, plain, (url) => refuse(url, { ca: ours.pem }), { from: 2, thief });
      await withTls(good, plain, (url) => refuse(url, { caPin: ours.pin }), { from: 3, thief });
      // By the system's trust, of which ours is one here.
      await withTls(
        good,
        plain,
        async (url) => {
          const script = `
            import { Geres } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
            const geres = new Geres({ url: ${JSON.stringify(url)}, token: "secret", answerTimeout: 5_000 });
            try { await geres.notifications({}, ${transport}); console.log("open"); } catch (error) { console.log("refused"); }
            process.exit();`;
          const env = { ...process.env, NODE_EXTRA_CA_CERTS: ours.path };
          const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
          assert.equal(stdout, "refused\n");
          const paths = asked.splice(0);
          assert.ok(paths[0].startsWith("/hubs/jobs/negotiate"), "the system trusts it");
          assert.ok(!paths.some((path) => path.startsWith("/hubs/jobs?")), `transport ${transport}`);
        },
        { from: 2, thief },
      );
    }
  } finally {
    hub.closeAllConnections();
    hub.close();
  }
});

test("options that cannot be used name themselves", async () => {
  const url = "https://localhost:1";
  for (const caPin of ["", "abc", "sha256:xyz", "sha1:" + "a".repeat(40), ours.pin + "0"])
    assert.throws(() => new Geres({ url, caPin }), (e) => e instanceof BadOption && /^caPin: .*64 hex digits/.test(e.message), caPin);
  assert.throws(() => new Geres({ url: "http://localhost:1", caPin: ours.pin }), /^BadOption: caPin: .*https/);
  assert.throws(() => new Geres({ url: "localhost:1", ca: ours.pem }), /^BadOption: ca: .*https/);
  await assert.rejects(new Geres({ url, ca: "/nowhere/ca.pem", ...quick }).batch("b"), /^BadOption: ca: .*nowhere.*PEM/);
  const empty = join(directory, "empty.pem");
  writeFileSync(empty, "nothing\n");
  await assert.rejects(new Geres({ url, ca: empty, ...quick }).batch("b"), /^BadOption: ca: .*empty\.pem has no certificate/);
  await assert.rejects(new Geres({ url, ca: Buffer.from("x"), ...quick }).notifications({}), /^BadOption: ca: there is no certificate/);
  const broken = ours.pem.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
  await assert.rejects(new Geres({ url, ca: broken, ...quick }).batch("b"), /^BadOption: ca: one of its certificates cannot be read/);
  process.env.GERES_CA_PIN = "wrong";
  try {
    assert.throws(() => new Geres({ url }), /^BadOption: GERES_CA_PIN: /);
    new Geres({ url: "http://localhost:1" });
  } finally {
    delete process.env.GERES_CA_PIN;
  }
});

test("what a page loads has nothing of Node in it", () => {
  const seen = new Set(),
    packages = new Set();
  const follow = (name) => {
    if (seen.has(name)) return;
    seen.add(name);
    const text = readFileSync(new URL(`../dist/${name}`, import.meta.url), "utf8");
    for (const [, from] of text.matchAll(/^(?:import|export) .*?from "([^"]+)"/gm))
      from.startsWith("./") ? follow(from.slice(2)) : packages.add(from);
  };
  const { node, default: page } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).imports["#trust"];
  follow("index.js");
  follow(basename(page));
  assert.deepEqual([...packages], ["@microsoft/signalr"]);
  follow(basename(node));
  assert.ok(packages.has("undici") && packages.has("node:tls"), "they are found where they are");
});

test("a browser refuses both", async () => {
  // As a page sees the module: without a process.
  const script = `
    const node = globalThis.process;
    globalThis.process = undefined;
    const { Geres } = await import(${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)});
    const said = [];
    for (const options of [{ ca: "x" }, { caPin: ${JSON.stringify(ours.pin)} }])
      try { new Geres({ url: "https://hub.example", ...options }); said.push("taken"); } catch (error) { said.push(error.message); }
    new Geres({ url: "https://hub.example" });
    console.log(JSON.stringify(said));
    globalThis.process = node;`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  const [ca, pin] = JSON.parse(stdout);
  assert.match(ca, /^ca: a browser decides/);
  assert.match(pin, /^caPin: a browser decides/);
});
