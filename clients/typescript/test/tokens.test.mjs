// SPDX-License-Identifier: Apache-2.0
// Tokens that a source gives: when it is asked, and what of its trouble is told. The hub here takes the tokens in `good`.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { BadOption, Geres, GeresError, NoToken } from "../dist/index.js";

async function withHub(use) {
  const good = new Set(),
    asked = [];
  const server = createServer((call, to) => {
    const token = call.headers.authorization?.replace("Bearer ", "");
    asked.push(token);
    call.resume();
    if (good.has(token)) {
      to.writeHead(200, { "Content-Type": "application/json" });
      return to.end('{"id":"j","state":"finished"}');
    }
    to.writeHead(401, { "Content-Type": "application/problem+json" });
    to.end(JSON.stringify({ status: 401, code: "unauthenticated", title: "Who are you?" }));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await use(`http://127.0.0.1:${server.address().port}`, good, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A source of t1, t2, …, each good for so long by the clock, which the test moves. */
function source(good, life) {
  const given = [];
  const ask = async () => {
    const token = `t${given.length + 1}`;
    given.push(token);
    good.add(token);
    return life === undefined ? token : { token, expiresAt: Date.now() + life };
  };
  return { ask, given };
}

test("asked before the first call, once for all that begin together, and no more while the token is good", () =>
  withHub(async (url, good, asked) => {
    const { ask, given } = source(good);
    const geres = new Geres({ url, tokenSource: ask });
    assert.deepEqual(given, []);
    await Promise.all(Array.from({ length: 10 }, () => geres.job("j")));
    await geres.job("j");
    assert.deepEqual([given, new Set(asked)], [["t1"], new Set(["t1"])]);
  }));

test("a new one when two thirds of its life are over; calls do not wait for it as long as the old one is good", (t) =>
  withHub(async (url, good, asked) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
    const { ask, given } = source(good, 60_000);
    let wait = Promise.resolve();
    const geres = new Geres({ url, tokenSource: async () => (await wait, ask()) });
    await geres.job("j");
    t.mock.timers.tick(39_000);
    await geres.job("j");
    assert.deepEqual(given, ["t1"]);
    t.mock.timers.tick(2_000);
    let go;
    wait = new Promise((resolve) => (go = resolve));
    await geres.job("j");
    assert.deepEqual(asked, ["t1", "t1", "t1"], "the source takes its time, the call does not");
    go();
    await new Promise(setImmediate);
    await geres.job("j");
    assert.deepEqual([given, asked.at(-1)], [["t1", "t2"], "t2"]);
    t.mock.timers.tick(61_000);
    await geres.job("j");
    assert.deepEqual([given, asked.at(-1)], [["t1", "t2", "t3"], "t3"], "one that has ended is not sent");
  }));

test("at a 401 once, for all that were refused together; then the refusal counts", () =>
  withHub(async (url, good, asked) => {
    const { ask, given } = source(good);
    const geres = new Geres({ url, tokenSource: ask });
    await geres.job("j");
    good.clear();
    await Promise.all(Array.from({ length: 5 }, () => geres.submit({ type: "T" })));
    assert.deepEqual(given, ["t1", "t2"]);
    asked.length = 0;
    good.clear();
    good.add = () => good; // what the source gives from now on is not taken either
    await assert.rejects(geres.job("j"), (error) => error instanceof GeresError && error.status === 401);
    assert.deepEqual(asked, ["t2", "t3"]);
  }));

test("a token for good is not asked for again", () =>
  withHub(async (url, good, asked) => {
    await assert.rejects(new Geres({ url, token: "wrong" }).job("j"), { status: 401 });
    assert.deepEqual(asked, ["wrong"]);
  }));

test("a source that fails: told where there is no token, passed over as long as there is one", (t) =>
  withHub(async (url, good) => {
    const fails = async () => {
      throw new Error("the identity provider is away");
    };
    const without = new Geres({ url, tokenSource: fails, patience: 60_000 });
    const why = (error) => error instanceof NoToken && /identity provider is away/.test(error.message) && error.cause instanceof Error;
    await assert.rejects(without.job("j"), why);
    await assert.rejects(without.notifications({}), why);
    await assert.rejects(without.events().next(), why);
    t.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
    const { ask } = source(good, 60_000);
    let now = ask;
    const geres = new Geres({ url, tokenSource: () => now(), patience: 60_000 });
    await geres.job("j");
    now = fails;
    t.mock.timers.tick(50_000);
    await geres.job("j");
    t.mock.timers.tick(20_000);
    await assert.rejects(geres.job("j"), why);
    now = ask;
    await geres.job("j");
  }));

test("a source that never answers takes no longer than an answer may", () =>
  withHub(async (url) => {
    const geres = new Geres({ url, tokenSource: () => new Promise(() => undefined), answerTimeout: 50, patience: 0 });
    await assert.rejects(geres.job("j"), /longer than/);
  }));

test("what is no token names itself", () =>
  withHub(async (url) => {
    for (const given of ["", undefined, {}, { token: 7 }, { token: "" }])
      await assert.rejects(new Geres({ url, tokenSource: () => given }).job("j"), /NoToken: .*must give a text/);
    const late = new Geres({ url, tokenSource: () => ({ token: "t", expiresAt: "soon" }) });
    await assert.rejects(late.job("j"), /NoToken: .*expiresAt is no time: "soon"/);
    assert.throws(() => new Geres({ url, token: "t", tokenSource: () => "t" }), BadOption);
  }));
