// SPDX-License-Identifier: Apache-2.0
// For work on the page alone: serves the built page as the hub does, before a hub that need not have the page itself.
//   node dev/serve.mjs --hub http://127.0.0.1:8080 --token-file ~/.local/share/geres/admin.token [--port 8090] [--base /]
// It keeps sessions in memory, passes v1 on with their token, and plays v1/live by asking the hub once a second.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { accept } from './websocket.mjs';

const { values } = parseArgs({
  options: {
    hub: { type: 'string', default: 'http://127.0.0.1:8080' },
    'token-file': { type: 'string' },
    port: { type: 'string', default: '8090' },
    base: { type: 'string', default: '/' },
    dir: { type: 'string', default: new URL('../dist', import.meta.url).pathname },
  },
});
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.svg': 'image/svg+xml' };
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
const sessions = new Map(),
  codes = new Map();
if (values['token-file']) {
  const code = crypto.randomBytes(16).toString('base64url');
  codes.set(code, fs.readFileSync(values['token-file'], 'utf8').trim());
  setTimeout(() => console.log(`http://127.0.0.1:${server.address().port}${values.base}#login=${code}`), 50);
}

function token(request) {
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const cookie = /(?:^|; )geres=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  return given ?? sessions.get(cookie);
}

async function ask(how, url) {
  const answer = await fetch(values.hub + url, { headers: { authorization: `Bearer ${how}` } });
  return { status: answer.status, body: await answer.json() };
}

function problem(response, status, code, title, hint) {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ type: `/errors#${code}`, title, status, code, detail: title, hint, requestId: crypto.randomUUID() }));
}

async function session(request, response) {
  const cookie = /(?:^|; )geres=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  if (request.method === 'DELETE') {
    sessions.delete(cookie);
    for (const link of links) if (link.cookie === cookie) link.close(4401, 'session over');
    response.writeHead(204, { 'set-cookie': 'geres=; Max-Age=0; Path=' + values.base });
    return response.end();
  }
  let bearer = token(request),
    head = {};
  if (request.method === 'POST') {
    let text = '';
    for await (const piece of request) text += piece;
    const body = JSON.parse(text);
    bearer = body.token ?? codes.get(body.code);
    codes.delete(body.code);
  }
  const info = bearer ? await ask(bearer, '/v1/info').catch(() => ({ status: 502 })) : { status: 401 };
  if (info.status !== 200)
    return problem(
      response,
      info.status === 502 ? 503 : 401,
      'unauthenticated',
      'Not logged in',
      'Log in with a token that the hub knows.',
    );
  if (request.method === 'POST') {
    const value = crypto.randomBytes(32).toString('base64url');
    sessions.set(value, bearer);
    head = { 'set-cookie': `geres=${value}; HttpOnly; SameSite=Lax; Path=${values.base}` };
  }
  response.writeHead(request.method === 'POST' ? 201 : 200, { 'content-type': 'application/json', ...head });
  response.end(JSON.stringify({ caller: info.body.caller, expires: new Date(Date.now() + 12 * 3600e3).toISOString() }));
}

function pass(request, response, to) {
  const headers = { ...request.headers };
  delete headers.cookie;
  delete headers.origin;
  const bearer = token(request);
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  const on = http.request(values.hub + to, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  on.on('error', () =>
    response.headersSent ? response.destroy() : problem(response, 503, 'unavailable', 'The hub does not answer', 'Is it running?'),
  );
  response.on('close', () => on.destroy());
  request.pipe(on);
}

function asset(request, response, name) {
  const file = path.join(values.dir, name),
    known = file.startsWith(values.dir) && name && fs.existsSync(file) && fs.statSync(file).isFile();
  if (!known && !(request.headers.accept ?? '').includes('text/html')) return problem(response, 404, 'notFound', 'Nothing here', '');
  let body = fs.readFileSync(known ? file : path.join(values.dir, 'index.html'));
  if (!known) body = Buffer.from(body.toString().replace('<base href="/">', `<base href="${values.base}">`));
  response.writeHead(200, {
    'content-type': known ? (TYPES[path.extname(file)] ?? 'application/octet-stream') : TYPES['.html'],
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': known ? 'public, max-age=31536000, immutable' : 'no-cache',
    ...(known ? {} : { 'content-security-policy': CSP }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://x');
  if (!url.pathname.startsWith(values.base)) return problem(response, 404, 'notFound', 'Nothing here', `The page is at ${values.base}`);
  const at = url.pathname.slice(values.base.length);
  if (at === 'v1/session') return void session(request, response).catch((e) => problem(response, 400, 'badRequest', String(e), ''));
  if (/^(v1|hubs|errors|openapi.yaml|metrics|healthz|readyz)(\/|$)/.test(at)) return pass(request, response, '/' + at + url.search);
  asset(request, response, at);
});

// v1/live, by asking again: enough to see the page at work.
const links = new Set();
server.on('upgrade', (request, socket) => {
  const bearer = token(request),
    link = accept(request, socket);
  if (!link) return;
  if (!bearer) return link.close(4401, 'no session');
  link.cookie = /(?:^|; )geres=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  links.add(link);
  let watch = {},
    said = {},
    submitted;
  link.message = (text) => {
    const next = JSON.parse(text).watch;
    if (!next) return link.close(1008, 'a message is {"watch": {…}}');
    if (next.newJobs) submitted = undefined;
    watch = next;
    said = {};
  };
  const say = (kind, value) => {
    const text = JSON.stringify(value);
    if (said[kind] !== text) link.send(JSON.stringify(kind.startsWith('job:') ? { job: value } : { [kind]: value }));
    said[kind] = text;
  };
  const look = async () => {
    if (watch.status || watch.newJobs) {
      const status = await ask(bearer, '/v1/status');
      if (status.status === 401) return link.close(4401, 'session over');
      if (watch.status && status.status === 200) say('status', status.body);
      const sum = Object.values(status.body.jobs ?? {}).reduce((a, b) => a + b, 0);
      submitted ??= sum;
      if (watch.newJobs && sum > submitted) say('newJobs', sum - submitted);
    }
    for (const id of watch.jobs ?? []) {
      const job = await ask(bearer, '/v1/jobs/' + id);
      if (job.status === 200) say('job:' + id, job.body);
    }
    if (watch.log) {
      const { job, attempt, stream } = watch.log,
        answer = await fetch(`${values.hub}/v1/jobs/${job}/log?attempt=${attempt}&stream=${stream}&tail=0`, {
          headers: { authorization: `Bearer ${bearer}` },
        });
      await answer.arrayBuffer();
      const now = (await ask(bearer, '/v1/jobs/' + job)).body;
      if (answer.ok)
        say('log', {
          job,
          attempt,
          stream,
          size: +answer.headers.get('geres-offset'),
          ended: now.attempt > attempt || !['leased', 'running'].includes(now.state),
        });
    }
  };
  const timer = setInterval(() => look().catch(() => {}), 500);
  link.closed = () => {
    clearInterval(timer);
    links.delete(link);
  };
});
server.listen(+values.port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}${values.base}`));
