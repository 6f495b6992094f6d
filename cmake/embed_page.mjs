// SPDX-License-Identifier: Apache-2.0
// node embed_page.mjs DIRECTORY OUT.cpp: the files of a built page, compressed, as C++ (hub/api/page.h). The bytes lie
// beside OUT.cpp and are taken in by the assembler, which is quicker than a compiler with arrays.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative, sep } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [directory, out] = process.argv.slice(2);
const kinds = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

function filesOf(place) {
  return readdirSync(place, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesOf(join(place, entry.name)) : [join(place, entry.name)]))
    .sort();
}

const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });

const packed = join(dirname(out), 'page_packed');
rmSync(packed, { recursive: true, force: true });
mkdirSync(packed, { recursive: true });

let assembler = '', declared = '', rows = '', before = 0, after = 0;
filesOf(directory).forEach((file, i) => {
  const bytes = readFileSync(file);
  const path = relative(directory, file).split(sep).join('/');
  const type = kinds[extname(file)];
  if (!type) throw new Error(`${path}: what type it is does not stand in embed_page.mjs`);
  const etag = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const bodies = { gzip: gzipSync(bytes, { level: 9 }), brotli: brotli(bytes) };
  for (const [coding, body] of Object.entries(bodies)) {
    const name = `geres_page_${i}_${coding}`, at = join(packed, `${i}.${coding}`);
    writeFileSync(at, body);
    assembler +=
      `__asm__(".section .rodata\\n.global ${name}, ${name}_end\\n.hidden ${name}, ${name}_end\\n"\n` +
      `        "${name}: .incbin \\"${at}\\"\\n${name}_end: .byte 0\\n.previous");\n`;
    declared += `extern const char ${name}[], ${name}_end[];\n`;
  }
  const view = (coding) => `{geres_page_${i}_${coding}, geres_page_${i}_${coding}_end}`;
  rows += `      {"${path}", "${type}", "\\"${etag}\\"", ${view('gzip')}, ${view('brotli')}},\n`;
  before += bytes.length;
  after += bodies.brotli.length;
});

writeFileSync(
  out,
  `// Made from the page that web/ builds.\n#include "hub/api/page.h"\n\n${assembler}\n` +
    `extern "C" {\n${declared}}\n\nnamespace geres::hub::api {\n\n` +
    `std::span<const PageFile> Page::built_in() {\n  static const PageFile files[] = {\n${rows}  };\n  return files;\n}\n\n` +
    `}  // namespace geres::hub::api\n`,
);
console.log(`the page: ${before} bytes, ${after} as brotli`);
