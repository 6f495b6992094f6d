// SPDX-License-Identifier: Apache-2.0
// oidc-provider, which is certified for OpenID Connect, with what tests need: clients, one API, people who sign in with
// any password. Below /TID there is beside it an imitation of what Microsoft Entra ID's tokens are like.
//
//   POST /test/rollover              it signs with a new key from now on, and publishes the old one, too
//   POST /test/behave/HOW            good, away, slow, lying, large or redirect: how it answers about itself and its keys
//   POST /TID/oauth2/v2.0/token      by grant_type=client_credentials, as Entra ID does it
//   POST /test/lifetime/SECONDS      of access tokens from now on; at first an hour
//   POST /test/entra/VERSION         a token of Entra ID's version 1 or 2, with the body's claims
import crypto from 'node:crypto';
import http from 'node:http';
import { Provider } from 'oidc-provider';

console.info = console.warn = () => {}; // that it is good for tests only is known

const TID = '11111111-2222-3333-4444-555555555555';
const API = 'api://geres';
const BROKER = 'https://servicebus.azure.net';

const keyPair = (kind, options) => crypto.generateKeyPairSync(kind, options).privateKey;
const rsa = (kid) => ({ ...keyPair('rsa', { modulusLength: 2048 }).export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' });
const ec = (kid) => ({ ...keyPair('ec', { namedCurve: 'P-256' }).export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' });
const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function provider(issuer, keys) {
  const made = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['of tests'] },
    clients: [
      { client_id: 'nightly', client_secret: 'the-secret-of-nightly', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      { client_id: 'publisher', client_secret: 'the secret: of+publisher', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      { client_id: 'page', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['http://127.0.0.1:9/auth/callback'], response_types: ['code'] },
      // A hub's page, with a secret; where it is says who starts this.
      ...(process.env.GERES_OIDC_REDIRECT
        ? [{ client_id: 'hub', client_secret: 'the secret: of the+hub', grant_types: ['authorization_code'], redirect_uris: [process.env.GERES_OIDC_REDIRECT], response_types: ['code'] }]
        : []),
    ],
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', 'jobs', 'jobs.read'],
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => (ctx.oidc.client.clientId === 'publisher' ? BROKER : API),
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({ scope: 'jobs jobs.read', audience: resource, accessTokenTTL: lifetime, accessTokenFormat: 'jwt' }),
      },
    },
    extraTokenClaims: (_, token) => ({ roles: token.accountId === 'guest' ? [] : ['Jobs.Submit'], tenant: 'demo' }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) }),
  });
  return made.callback();
}

// ---- Entra ID -------------------------------------------------------------------------------------------------------

const entraKey = keyPair('rsa', { modulusLength: 2048 });

function entraIssuer(base, version) {
  return version === '1' ? `${base}/sts/${TID}/` : `${base}/${TID}/v2.0`;
}

function entraToken(base, version, claims) {
  const now = Math.floor(Date.now() / 1000);
  const own = version === '1'
    ? { aud: API, appid: 'b1a9c2f0-0000-4000-8000-000000000001', appidacr: '1', unique_name: 'ann@example.com', upn: 'ann@example.com' }
    : { aud: 'geres-client', azp: 'b1a9c2f0-0000-4000-8000-000000000001', azpacr: '1', preferred_username: 'ann@example.com' };
  const all = { iss: entraIssuer(base, version), iat: now, nbf: now, exp: now + 4242, tid: TID, oid: 'a0a0a0a0-1111-4111-8111-0123456789ab',
    sub: 'pairwise-and-opaque', uti: crypto.randomUUID(), rh: '0.AAA', ver: `${version}.0`, roles: ['Jobs.Submit'], ...own, ...claims };
  for (const name of Object.keys(all)) if (all[name] === null) delete all[name];
  const text = `${b64({ typ: 'JWT', alg: 'RS256', x5t: 'entra', kid: 'entra' })}.${b64(all)}`;
  return `${text}.${crypto.sign('sha256', Buffer.from(text), entraKey).toString('base64url')}`;
}

// Client credentials. The scope is an API's address and "/.default"; only the hub's own is called by its client id.
async function entraGrant(request, answer) {
  const form = new URLSearchParams(await textOf(request));
  const refuse = (status, error, words) => {
    answer.writeHead(status, { 'Content-Type': 'application/json' });
    answer.end(JSON.stringify({ error, error_description: words }));
  };
  if (form.get('grant_type') !== 'client_credentials') return refuse(400, 'unsupported_grant_type', 'AADSTS70003');
  if (form.get('client_id') !== 'nightly' || form.get('client_secret') !== 'the-secret-of-nightly')
    return refuse(401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.');
  const api = (form.get('scope') || '').match(/^(.+)\/\.default$/)?.[1];
  if (!api) return refuse(400, 'invalid_scope', 'AADSTS1002012: client credential flows need a scope with /.default');
  const claims = { azp: form.get('client_id'), preferred_username: null, ...(api === API ? {} : { aud: api }) };
  answer.setHeader('Content-Type', 'application/json');
  answer.end(JSON.stringify({ token_type: 'Bearer', expires_in: 3599, access_token: entraToken(base, '2', claims) }));
}

// As Entra ID publishes them: without `alg`, with certificates, beside the issuer.
function entraAbout(base, path) {
  if (path === `/${TID}/v2.0/.well-known/openid-configuration` || path === `/sts/${TID}/.well-known/openid-configuration`)
    return { issuer: entraIssuer(base, path.startsWith('/sts') ? '1' : '2'), jwks_uri: `${base}/common/discovery/keys` };
  if (path !== '/common/discovery/keys') return null;
  const { kty, n, e } = crypto.createPublicKey(entraKey).export({ format: 'jwk' });
  return { keys: [{ kty, n, e, use: 'sig', kid: 'entra', x5t: 'entra', x5c: ['MIIC'], cloud_instance_name: 'microsoftonline.com' }] };
}

// ---- the server -----------------------------------------------------------------------------------------------------

const keys = [rsa('first'), ec('curve')];
let lifetime = 3600, behaviour = 'good', handler = null, base = '';

const misbehave = {
  away: (answer) => { answer.statusCode = 503; answer.end('{}'); },
  slow: () => {},
  lying: (answer) => answer.end(JSON.stringify({ issuer: 'https://evil.example', jwks_uri: `${base}/jwks` })),
  large: (answer) => answer.end(' '.repeat(10 << 20)),
  redirect: (answer) => { answer.writeHead(302, { Location: `${base}/elsewhere` }); answer.end(); },
};

async function textOf(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text;
}

async function bodyOf(request) {
  const text = await textOf(request);
  return text ? JSON.parse(text) : {};
}

async function test(request, answer) {
  const [, , what, how] = request.url.split('/');
  if (what === 'rollover') {
    keys.unshift(rsa(`key-${keys.length}`));
    handler = provider(base, keys);
  } else if (what === 'behave') {
    behaviour = how;
  } else if (what === 'lifetime') {
    lifetime = Number(how);
  } else {
    answer.end(entraToken(base, how, await bodyOf(request)));
    return;
  }
  answer.end('done');
}

const server = http.createServer((request, answer) => {
  const path = request.url.split('?')[0];
  if (path.startsWith('/test/')) return test(request, answer);
  if (path === `/${TID}/oauth2/v2.0/token` && request.method === 'POST') return entraGrant(request, answer);
  const entra = entraAbout(base, path);
  const about = entra || path === '/.well-known/openid-configuration' || path === '/jwks';
  if (about && behaviour !== 'good') return misbehave[behaviour](answer);
  if (entra) return answer.setHeader('Content-Type', 'application/json').end(JSON.stringify(entra));
  return handler(request, answer);
});
server.listen(0, '127.0.0.1', () => {
  base = `http://127.0.0.1:${server.address().port}`;
  handler = provider(base, keys);
  console.log(JSON.stringify({ issuer: base, entra1: entraIssuer(base, '1'), entra2: entraIssuer(base, '2'), tid: TID }));
});
process.stdin.on('end', () => process.exit(0)).resume();
