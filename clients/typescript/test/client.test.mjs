// SPDX-License-Identifier: Apache-2.0
// Against a real hub and host: GERES_HUB and GERES_TOKEN say where, GERES_TEST_PACKAGE is a package whose type Shell runs
// the parameter `script`.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ended, Geres, GeresError, packDirectory, Unreachable } from "../dist/index.js";

const geres = new Geres();
const shell = (script, more = {}) => ({ tenant: "demo", type: "Shell", package: "shell", parameters: { script }, ...more });

test("a job runs and gives its result", async () => {
  const job = await geres.submit(shell("echo hello"));
  const done = await geres.wait(job.id);
  assert.equal(done.state, "finished");
  assert.equal(done.result, "hello\n");
  assert.ok(ended(done));
  assert.equal(await geres.log(job.id), "hello\n");
});

test("a wait ends when its time is over", async () => {
  const job = await geres.submit(shell("true", { delay: "1h" }));
  assert.equal((await geres.wait(job.id, { timeout: 50 })).state, "scheduled");
  assert.equal((await geres.cancel(job.id, { reason: "not needed" })).state, "cancelled");
});

test("files have any name, and what could not be kept is named", async () => {
  const script = 'cd "$GERES_OUTPUT_DIR"; printf kept > "$GERES_PARAM_name"; mkfifo pipe';
  const name = "back\\slash\nline % 100";
  const job = await geres.submit(shell("", { parameters: { script, name } }));
  const done = await geres.wait(job.id);
  assert.deepEqual(done.filesLeftOut, [{ path: "pipe", why: "a pipe (FIFO)" }]);
  assert.equal(done.filesLeftOutCount, 1);
  assert.deepEqual((await geres.files(job.id)).map((file) => file.path), [name]);
  assert.equal(new TextDecoder().decode(await geres.file(job.id, name)), "kept");
});

test("a key gives the same job, a list all or nothing", async () => {
  const spec = shell("true", { key: `key-${Date.now()}` });
  assert.equal((await geres.submit(spec)).id, (await geres.submit(spec)).id);
  const ids = await geres.submitAll([shell("true"), shell("true")]);
  assert.equal(ids.length, 2);
  await assert.rejects(geres.submitAll([shell("true"), { ...shell("true"), type: "Nonsense" }]), (e) => e instanceof GeresError && e.status === 422);
});

test("lists are paged as they are read", async () => {
  const batch = await geres.createBatch({ name: `pages-${Date.now()}`, tenant: "demo" });
  const specs = Array.from({ length: 1_203 }, (_, i) => shell("true", { batch: batch.id, delay: "1h", name: `n${i}` }));
  await geres.submitAll(specs);
  let count = 0;
  for await (const job of geres.jobs({ batch: batch.id, order: "asc" })) assert.equal(job.name, `n${count++}`);
  assert.equal(count, specs.length);
  assert.equal((await geres.cancelBatch(batch.id)).state, "cancelled");
});

test("a dead letter is dismissed, and its batch deleted with it", async () => {
  const batch = await geres.createBatch({ name: `dead-${Date.now()}`, tenant: "demo" });
  const { id } = await geres.submit(shell("exit 3", { batch: batch.id, maxAttempts: 1 }));
  assert.equal((await geres.wait(id)).state, "failed");
  const dismissed = await geres.dismiss(id);
  assert.equal(dismissed.state, "failed");
  assert.ok(dismissed.settledAt);
  await assert.rejects(geres.deleteBatch(batch.id), /open/);
  await geres.closeBatch(batch.id);
  assert.equal(await geres.deleteBatch(batch.id), 1);
  await assert.rejects(geres.job(id), /no job/);
});

test("a directory is packed and runs", async () => {
  const directory = await mkdtemp(join(tmpdir(), "geres-"));
  try {
    await mkdir(join(directory, "bin"));
    await writeFile(join(directory, "geres.json"), JSON.stringify({ jobs: { Greet: { command: ["bin/größe.sh"] } } }));
    await writeFile(join(directory, "bin", "größe.sh"), "#!/bin/sh\necho packed\n", { mode: 0o755 });
    await mkdir(join(directory, "in", "empty"), { recursive: true });
    const pushed = await geres.pushPackage("demo", "packed", directory);
    assert.deepEqual(await geres.pushPackage("demo", "packed", await packDirectory(directory)), pushed);
    const job = await geres.submit({ tenant: "demo", type: "Greet", package: "packed" });
    assert.equal((await geres.wait(job.id)).result, "packed\n");
    await symlink("/etc/passwd", join(directory, "link"));
    await assert.rejects(geres.pushPackage("demo", "packed", directory), /link' is a symbolic link/);
    await assert.rejects(geres.pushPackage("demo", "packed", join(directory, "absent")), /ENOENT/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a job brings its webhook", async () => {
  const webhook = { url: "https://8.8.8.8/done", types: ["geres.job.started"] };
  await assert.rejects(geres.submit(shell("true", { webhook })), (e) => e.status === 409 && e.field === "/webhook");
  const made = await fetch(`${process.env.GERES_HUB}/v1/webhooks`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.GERES_TOKEN}`, "Content-Type": "application/json" },
    body: JSON.stringify({ tenant: "demo", forJobs: true }),
  });
  assert.equal(made.status, 201);
  const job = await geres.submit(shell("true", { delay: "1h", webhook }));
  assert.deepEqual((await geres.job(job.id)).webhook, webhook);
  assert.equal((await geres.cancel(job.id)).state, "cancelled");
});

test("refusals say what is wrong", async () => {
  await assert.rejects(geres.submit({ ...shell("true"), maxAttempts: 0 }), (error) => {
    assert.ok(error instanceof GeresError);
    assert.equal(error.field, "/maxAttempts");
    assert.ok(error.hint);
    return true;
  });
  await assert.rejects(geres.job("0192f0c4-7d3a-7001-8f2e-0123456789ab"), (e) => e.code === "unknownJob");
  await assert.rejects(new Geres({ token: "wrong" }).job("x"), (e) => e.status === 401);
  await assert.rejects(new Geres({ url: "http://127.0.0.1:1", patience: 10 }).job("x"), Unreachable);
});

/** Runs `use` with a client behind a relay to the hub; `relay.next` says what befalls the next answers: "cut", "frozen". */
async function behindRelay(options, use) {
  const relay = { next: [], befell: [] };
  const hub = new URL(process.env.GERES_HUB);
  const open = new Set();
  const server = createServer((client) => {
    const way = connect(hub.port, hub.hostname);
    for (const socket of [client, way]) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => (client.destroy(), way.destroy(), open.delete(socket)));
    }
    client.pipe(way);
    way.on("data", (piece) => {
      const fate = relay.next.shift();
      if (fate !== undefined) relay.befell.push(fate);
      if (fate === "cut") client.end(piece.subarray(0, piece.length - 5));
      else if (fate === undefined) client.write(piece);
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await use(new Geres({ ...options, url: `http://127.0.0.1:${server.address().port}` }), relay);
  } finally {
    server.close();
    for (const socket of open) socket.destroy();
  }
}

test("answers that are lost on the way make no second job and end no wait", { timeout: 60_000 }, () =>
  behindRelay({ answerTimeout: 1_000 }, async (far, relay) => {
    const batch = await geres.createBatch({ name: `lost-${Date.now()}`, tenant: "demo" });
    relay.next = ["cut", "frozen"];
    const { id } = await far.submit(shell("echo once", { batch: batch.id }));
    relay.next.push("cut");
    assert.equal((await far.wait(id)).result, "once\n");
    relay.next.push("cut");
    assert.equal(await far.log(id), "once\n");
    assert.deepEqual(relay.befell, ["cut", "frozen", "cut", "cut"]);
    const ids = [];
    for await (const job of geres.jobs({ batch: batch.id })) ids.push(job.id);
    assert.deepEqual(ids, [id]);
    relay.next = Array(20).fill("frozen");
    await assert.rejects(far.wait(id, { timeout: 100 }), Unreachable);
  }));

test("events tell a job's life, also of what was before", async () => {
  const stop = new AbortController();
  const job = await geres.submit(shell('echo "50 half" > $GERES_PROGRESS; echo out'));
  const types = [];
  let finished;
  for await (const event of geres.events({ job: job.id, after: "start", signal: stop.signal })) {
    assert.notEqual(event.type, "gap");
    if (event.type !== "geres.job.progressed") types.push(event.type.replace("geres.job.", ""));
    if (event.type === "geres.job.finished") {
      finished = event;
      break;
    }
  }
  stop.abort();
  assert.deepEqual(types, ["submitted", "leased", "started", "finished"]);
  assert.equal(finished.data.result, "out\n");
  assert.equal(finished.subject, job.id);
});

test("a refused filter is an error, not silence", async () => {
  const events = geres.events({ type: "geres.job.exploded" });
  await assert.rejects(events.next(), (e) => e.field === "type");
});

test("notifications tell of what was and what comes", async () => {
  const told = [];
  let over;
  const both = new Promise((resolve) => (over = resolve));
  const live = await geres.notifications({
    started: (job) => told.push(`started ${job.id}`),
    completed: (job) => {
      told.push(`completed ${job.id} ${job.state}`);
      if (told.filter((t) => t.startsWith("completed")).length === 2) over();
    },
  });
  try {
    const before = await geres.wait((await geres.submit(shell("true"))).id);
    await live.subscribeToJob(before.id);
    const batch = await geres.createBatch({ name: `live-${Date.now()}`, tenant: "demo" });
    await live.subscribeToBatch(batch.id);
    const after = await geres.submit(shell("true", { batch: batch.id }));
    await both;
    assert.deepEqual(told, [`completed ${before.id} finished`, `started ${after.id}`, `completed ${after.id} finished`]);
    await assert.rejects(live.subscribeToJob("0192f0c4-7d3a-7001-8f2e-0123456789ab"), /no job/);
  } finally {
    await live.close();  // an open connection would keep a failed test from ending
  }
});

test("the live stream asks its source for another token when the first is refused", async () => {
  const tokens = ["geres_of-nobody", process.env.GERES_TOKEN];
  const given = [];
  const client = new Geres({ tokenSource: () => (given.push(tokens[given.length] ?? "none"), given.at(-1)) });
  const { id } = await geres.submit(shell("true"));
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const live = await client.notifications({ completed: tell });
  await live.subscribeToJob(id);
  assert.equal((await told).id, id);
  await live.close();
  assert.deepEqual(given, tokens);
  await assert.rejects(new Geres({ tokenSource: () => "geres_of-nobody" }).notifications({}), /401/);
});
