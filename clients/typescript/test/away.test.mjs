// SPDX-License-Identifier: Apache-2.0
// Hubs, proxies and networks that stall, break off or are something else. The hub here answers by a list: each call takes
// the next way to answer, the last one stays.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { readEvents } from "../dist/events.js";
import { Http } from "../dist/http.js";
import { Foreign, Geres, GeresError, Unreachable } from "../dist/index.js";

const job = JSON.stringify({ id: "j", state: "finished", result: "x".repeat(5_000) });
const json = { "Content-Type": "application/json" };

const well = (_, to) => to.writeHead(200, json).end(job);
const never = () => undefined;
const stalled = (_, to) => to.writeHead(200, json).write(job.slice(0, 100));
const cut = (_, to) => to.writeHead(200, { ...json, "Content-Length": job.length }).write(job.slice(0, 100), () => to.destroy());
const says = (status, text = "<html>Bad Gateway</html>", headers = {}) => (_, to) => to.writeHead(status, headers).end(text);
const problem = (status, code) => says(status, JSON.stringify({ status, code, title: "No" }));

/**
 * Runs `use` with a client of a hub that answers so; `asked` has the calls. Who waits for ever fails, and `signal` ends
 * the streams that would.
 */
async function withHub(answers, options, use) {
  const asked = [];
  const server = createServer((call, to) => {
    asked.push({ method: call.method, at: performance.now(), headers: call.headers, url: new URL(call.url, "http://hub") });
    call.resume();
    (answers[asked.length - 1] ?? answers.at(-1))(call, to);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${server.address().port}`;
  const stop = new AbortController();
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("still waiting")), 15_000)));
  try {
    await Promise.race([use(new Geres({ url, token: "t", ...options }), asked, url, stop.signal), late]);
  } finally {
    clearTimeout(timer);
    stop.abort();
    server.closeAllConnections();
    server.close();
  }
}

/** How many milliseconds it takes until it is known that no hub answers. */
async function unreachableAfter(promise) {
  const begun = performance.now();
  await assert.rejects(promise, Unreachable);
  return performance.now() - begun;
}

for (const [name, stuck] of Object.entries({ "never answers": never, "stalls within its answer": stalled })) {
  test(`a hub that ${name} is noticed`, () =>
    withHub([stuck], { answerTimeout: 600, patience: 150 }, async (geres, asked) => {
      const whole = [() => geres.job("j"), () => geres.submit({}), () => geres.redrive("j")];
      const inPieces = [() => geres.log("j"), () => geres.file("j", "f")];
      for (const call of [...whole, ...inPieces]) assert.ok((await unreachableAfter(call())) >= 100);
      assert.equal(asked.length, 5, "patience was over with the first try");
    }));

  test(`a hub that ${name} is asked again`, () =>
    withHub([stuck, stuck, well], { answerTimeout: 200 }, async (geres, asked) => {
      assert.equal((await geres.job("j")).id, "j");
      assert.equal(asked.length, 3);
    }));

  test(`a hub that ${name} holds up no wait`, () =>
    withHub([stuck], {}, async (geres) => {
      const took = await unreachableAfter(geres.wait("j", { timeout: 300 }));
      assert.ok(took >= 300 && took < 5_000, `${took} ms`);
    }));

  test(`a call to a hub that ${name} can be given up`, () =>
    withHub([stuck], { patience: 0 }, async (geres, asked) => {
      const why = new Error("enough");
      const stop = new AbortController();
      const waiting = assert.rejects(geres.wait("j", { signal: stop.signal }), why);
      while (asked.length === 0) await new Promise(setImmediate);
      stop.abort(why);
      await waiting;
      assert.equal(asked.length, 1);
    }));
}

test("an answer that breaks off is lost: what may be repeated is", () =>
  withHub([cut, well, cut, well], {}, async (geres, asked) => {
    assert.equal((await geres.job("j")).id, "j");
    assert.equal((await geres.submit({})).id, "j");
    assert.equal(asked.length, 4);
    assert.ok(asked[2].headers["idempotency-key"]);
    assert.equal(asked[2].headers["idempotency-key"], asked[3].headers["idempotency-key"]);
  }));

test("an answer that breaks off is lost: what may not be repeated is not", () =>
  withHub([cut], {}, async (geres, asked) => {
    await assert.rejects(geres.redrive("j"), Unreachable);
    await assert.rejects(geres.createBatch({}), Unreachable);
    assert.equal(asked.length, 2);
  }));

test("a log and a file that break off are read anew", () =>
  withHub([cut, well, cut, well], {}, async (geres) => {
    assert.equal(await geres.log("j"), job);
    assert.equal(new TextDecoder().decode(await geres.file("j", "f")), job);
  }));

test("a file may take long as long as it comes", () => {
  const slow = async (_, to) => {
    to.writeHead(200);
    for (let i = 0; i < 8; ++i) {
      to.write(`${i}`);
      await new Promise((soon) => setTimeout(soon, 100));
    }
    to.end();
  };
  return withHub([slow], { answerTimeout: 500 }, async (geres) => {
    assert.equal(new TextDecoder().decode(await geres.file("j", "f")), "01234567");
  });
});

test("an upload has the time that its size takes", () =>
  withHub([never], { answerTimeout: 100, patience: 0 }, async (geres) => {
    assert.ok((await unreachableAfter(geres.pushPackage("t", "p", new Uint8Array(8_000)))) >= 500);
  }));

for (const status of [408, 429, 502, 503, 504]) {
  test(`HTTP ${status} of a proxy passes`, () =>
    withHub([says(status), well, says(status), well, says(status)], {}, async (geres, asked) => {
      assert.equal((await geres.job("j")).id, "j");
      assert.equal((await geres.submit({})).id, "j");
      await assert.rejects(geres.redrive("j"), status > 500 ? Unreachable : Foreign);
      assert.equal(asked.length, 5, "the hub may have done it");
    }));
}

test("a proxy that never finds its hub is told as such, within patience", () =>
  withHub([says(504)], { patience: 300 }, async (geres, asked) => {
    const message = /^no answer from the hub at \S+: a proxy on the way says HTTP 504$/;
    await assert.rejects(geres.job("j"), (error) => error instanceof Unreachable && message.test(error.message));
    assert.ok(asked.length > 1);
  }));

test("what the hub says it has not done is repeated, whatever it is", () =>
  withHub([problem(503, "unavailable"), well, problem(503, "unknown")], {}, async (geres, asked) => {
    assert.equal((await geres.redrive("j")).id, "j");
    await assert.rejects(geres.redrive("j"), (e) => e instanceof GeresError && e.code === "unknown");
    assert.equal(asked.length, 3);
  }));

test("Retry-After is heeded", () =>
  withHub([says(503, "", { "Retry-After": "1" }), well], {}, async (geres, asked) => {
    await geres.job("j");
    assert.ok(asked[1].at - asked[0].at >= 990);
  }));

test("something else than a hub is told as such at once", async () => {
  for (const text of ["<html>log in</html>", job.slice(0, 100), "", "null", '"well"']) {
    await withHub([says(200, text)], {}, async (geres, asked, url) => {
      const reads = [() => geres.job("j"), () => geres.wait("j")];
      const push = () => geres.pushPackage("t", "p", new Uint8Array(1));
      const writes = [() => geres.submit({}), () => geres.redrive("j"), push];
      for (const call of [...reads, ...writes]) {
        await assert.rejects(call(), (error) => {
          assert.ok(error instanceof Foreign && error instanceof GeresError, error);
          assert.equal(error.code, "foreign");
          assert.ok(error.message.includes(url));
          assert.ok(error.hint);
          return true;
        });
      }
      assert.equal(asked.length, 5);
    });
  }
  await withHub([says(404)], {}, (geres) => assert.rejects(geres.job("j"), (e) => e instanceof Foreign && e.status === 404));
});

test("a wait that is interrupted goes on for what is left of it", () => {
  const broken = (_, to) => setTimeout(() => to.destroy(), 200);
  return withHub([broken, well], {}, async (geres, asked) => {
    await geres.wait("j", { timeout: 20_000 });
    const [first, second] = asked.map((call) => Number.parseInt(call.url.searchParams.get("wait"), 10));
    assert.ok(first > 19_000 && first <= 20_000, `${first} ms`);
    assert.ok(second <= first - 190, `${first} ms, then ${second} ms`);
  });
});

test("a wait that no hub holds back is not asked for in a tight loop", () => {
  const running = says(200, JSON.stringify({ id: "j", state: "running" }), json);
  return withHub([running], {}, async (geres, asked) => {
    assert.equal((await geres.wait("j", { timeout: 1_500 })).state, "running");
    assert.ok(asked.length < 15, `${asked.length} calls`);
  });
});

test("a long poll that breaks late has all patience before it", () => {
  const late = (_, to) => setTimeout(() => to.destroy(), 700);
  return withHub([late, well], { patience: 500 }, async (geres) => assert.equal((await geres.wait("j")).id, "j"));
});

// ---- streams

const stream = { "Content-Type": "text/event-stream" };
const event = (id) => `id: ${id}\nevent: geres.job.started\ndata: {"id":"${id}"}\n\n`;
const tells = (...ids) => (_, to) => to.writeHead(200, stream).write(ids.map(event).join(""));

test("a stream that falls silent is opened anew and read on", () =>
  withHub([tells(1), never, tells(2)], {}, async (_, asked, url, signal) => {
    const events = readEvents(new Http({ url }), { after: "start", signal }, 300);
    assert.equal((await events.next()).value.id, "1");
    assert.equal((await events.next()).value.id, "2");
    assert.deepEqual(asked.map((call) => call.headers["last-event-id"]), [undefined, "1", "1"]);
  }));

test("a stream whose reader is slow is not silent", () => {
  const twice = (_, to) => {
    tells(1)(_, to);
    setTimeout(() => to.write(event(2)), 100);
  };
  return withHub([twice], {}, async (_, asked, url, signal) => {
    const told = [];
    for await (const { id } of readEvents(new Http({ url }), { signal }, 300)) {
      await new Promise((soon) => setTimeout(soon, 500));
      if (told.push(id) === 2) break;
    }
    assert.deepEqual(told, ["1", "2"]);
    assert.equal(asked.length, 1);
  });
});

test("a stream comes back through what passes, and says what does not", () =>
  withHub([says(502), says(500), tells(1)], {}, async (geres, asked, _, signal) => {
    assert.equal((await geres.events({ signal }).next()).value.id, "1");
    assert.equal(asked.length, 3);
  }));

test("a stream of something else than a hub ends", async () => {
  for (const answer of [says(200, "<html>log in</html>"), says(200, "data: <html>\n\n", stream), says(404)]) {
    await withHub([answer], {}, (geres, _, __, signal) => assert.rejects(geres.events({ signal }).next(), Foreign));
  }
});

test("notifications do not wait for ever", () =>
  withHub([never], { answerTimeout: 200 }, async (geres) => {
    assert.ok((await unreachableAfter(geres.notifications({}))) >= 100);
  }));
