// SPDX-License-Identifier: Apache-2.0
// Holds every recorded exchange against api/openapi.yaml: its path and status must be in the contract, its JSON must
// fit the schema, and every operation must have been called with success at least once.
//
//   node check.mjs RECORDED.jsonl [openapi.yaml]
import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const [recorded, contractFile = new URL('../../api/openapi.yaml', import.meta.url)] = process.argv.slice(2);
const contract = parse(readFileSync(contractFile, 'utf8'));
const exchanges = readFileSync(recorded, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'contract', components: contract.components }, 'contract');

// Literal segments first, so that /v1/jobs/cancel is not taken for a job. The GeRes2 face is spelled as ASP.NET has it:
// in any case, and with or without a slash at the end.
const paths = Object.entries(contract.paths)
  .map(([pattern, operations]) => ({
    pattern,
    operations,
    literals: pattern.split('/').filter((s) => !s.startsWith('{')).length,
    regexp: pattern.startsWith('/api/')
      ? new RegExp('^' + pattern.replace(/\{[^}]+\}/g, '[^/]+') + '/?$', 'i')
      : new RegExp('^' + pattern.replace(/\/\{path\}$/, '/.+').replace(/\{[^}]+\}/g, '[^/]+') + '$'),
  }))
  .sort((a, b) => b.literals - a.literals);

function resolve(node) {
  return node && node.$ref ? node.$ref.slice(2).split('/').reduce((at, key) => at[key], contract) : node;
}

const validators = new Map();
function validator(schema, key) {
  if (!validators.has(key)) {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"contract#/components');
    validators.set(key, ajv.compile(JSON.parse(text)));
  }
  return validators.get(key);
}

const problems = new Set();
const succeeded = new Set();
const refused = new Set();
let checked = 0;

for (const { method, path, status, type, body } of exchanges) {
  if (status === 0) continue;
  const bare = path.split('?')[0];
  const fitting = paths.filter((p) => p.regexp.test(bare) && p.operations[method.toLowerCase()]);
  if (fitting.length === 0) {
    // At any other address the hub's page answers.
    const ours = /^\/(v1|hubs|api)\//.test(bare);
    if (ours && ![400, 404, 405].includes(status)) problems.add(`${method} ${bare}: not in the contract, answered ${status}`);
    continue;
  }
  const { pattern, operations } = fitting[0];
  const operation = operations[method.toLowerCase()];
  const name = `${method} ${pattern}`;
  (status < 400 ? succeeded : refused).add(name);
  const response = resolve(
    operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}XX`] ?? operation.responses.default,
  );
  if (!response) {
    problems.add(`${name}: status ${status} is not in the contract`);
    continue;
  }
  if (status === 204 || !response.content) continue;
  const media = type.split(';')[0].trim();
  const content = response.content[media] ?? response.content['*/*'];
  if (!content) {
    problems.add(`${name} ${status}: content type ${media} is not in the contract`);
    continue;
  }
  if (!content.schema || !media.endsWith('json') || body === '') continue;
  const validate = validator(content.schema, `${name} ${status} ${media}`);
  ++checked;
  if (!validate(JSON.parse(body)))
    problems.add(`${name} ${status}: ${ajv.errorsText(validate.errors)}\n    ${body.slice(0, 300)}`);
}

for (const { pattern, operations } of paths)
  for (const [method, operation] of Object.entries(operations)) {
    const name = `${method.toUpperCase()} ${pattern}`;
    if (!succeeded.has(name)) problems.add(`${name}: never called with success`);
    if (operation['x-needs'] !== 'nothing' && !refused.has(name)) problems.add(`${name}: never refused`);
  }

for (const problem of problems) console.error(problem);
console.log(`${exchanges.length} exchanges, ${checked} bodies checked, ${succeeded.size} operations, ${problems.size} problems`);
process.exit(problems.size === 0 ? 0 : 1);
