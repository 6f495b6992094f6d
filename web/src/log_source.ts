// SPDX-License-Identifier: Apache-2.0
// Parts of a log by their place in it. It is read from its end backwards, and as it grows.
import { call } from './api';

export interface Piece {
  from: number;
  to: number;
  text: string;
}
export const RANGE = 128 * 1024;
const TAIL = 1000;

const path = (job: string, attempt: number, stream: string): string =>
  `v1/jobs/${encodeURIComponent(job)}/log?attempt=${attempt}&stream=${stream}`;
// Colours and moves of the cursor are for terminals.
const CODES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])|\r(?=\n)/g;
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(CODES, '');

/** The last lines. */
export async function readTail(job: string, attempt: number, stream: string, signal: AbortSignal): Promise<Piece> {
  const answer = await call(`${path(job, attempt, stream)}&tail=${TAIL}`, { signal });
  const bytes = new Uint8Array(await answer.arrayBuffer()),
    from = Number(answer.headers.get('geres-offset') ?? 0);
  return { from, to: from + bytes.length, text: decode(bytes) };
}

/** At most so many bytes from a place on. */
async function readBytes(
  job: string,
  attempt: number,
  stream: string,
  from: number,
  most: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const answer = await call(`${path(job, attempt, stream)}&offset=${from}&limit=${most}`, { signal });
  return new Uint8Array(await answer.arrayBuffer());
}

/** The part before a place, beginning with a whole line where there is one. */
export async function readBefore(
  job: string,
  attempt: number,
  stream: string,
  to: number,
  signal?: AbortSignal,
  most = RANGE,
): Promise<Piece> {
  if (to === 0) return { from: 0, to, text: '' };
  const from = Math.max(0, to - most),
    bytes = await readBytes(job, attempt, stream, from, to - from, signal);
  const line = from === 0 ? 0 : bytes.indexOf(10) + 1;
  return { from: from + line, to, text: decode(bytes.subarray(line)) };
}

/** What has come since; ends with a whole character. */
export async function readAfter(job: string, attempt: number, stream: string, from: number, signal?: AbortSignal): Promise<Piece> {
  const bytes = await readBytes(job, attempt, stream, from, 4 * RANGE, signal);
  let end = bytes.length;
  for (let i = 1; i <= Math.min(3, bytes.length); i++) {
    const byte = bytes[bytes.length - i];
    if (byte < 0x80) break;
    if (byte >= 0xc0) {
      if ((byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > i) end = bytes.length - i;
      break;
    }
  }
  return { from, to: from + end, text: decode(bytes.subarray(0, end)) };
}

export const whole = (job: string, attempt: number, stream: string): string => path(job, attempt, stream);
