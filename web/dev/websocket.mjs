// SPDX-License-Identifier: Apache-2.0
// The few lines of RFC 6455 that dev/serve.mjs needs: short text messages, pings and closes.
import crypto from 'node:crypto';

export function accept(request, socket) {
  const key = request.headers['sec-websocket-key'];
  if (!key || !/v1\/live$/.test(request.url.split('?')[0])) {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    return undefined;
  }
  const answer = crypto
    .createHash('sha1')
    .update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
    .digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${answer}\r\n\r\n`);
  const link = {
    send: (text) => frame(1, Buffer.from(text)),
    close(code, why) {
      const head = Buffer.alloc(2);
      head.writeUInt16BE(code);
      frame(8, Buffer.concat([head, Buffer.from(why)]));
      socket.end();
    },
    message() {},
    closed() {},
  };
  function frame(kind, body) {
    const head =
      body.length < 126
        ? Buffer.from([0x80 | kind, body.length])
        : body.length < 65536
          ? Buffer.from([0x80 | kind, 126, 0, 0])
          : Buffer.alloc(10);
    if (body.length >= 65536) {
      head[0] = 0x80 | kind;
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(body.length), 2);
    } else if (body.length >= 126) head.writeUInt16BE(body.length, 2);
    if (socket.writable) socket.write(Buffer.concat([head, body]));
  }
  let rest = Buffer.alloc(0);
  socket.on('data', (piece) => {
    rest = Buffer.concat([rest, piece]);
    for (;;) {
      if (rest.length < 6) return;
      let size = rest[1] & 127,
        at = 2;
      if (size === 126) {
        size = rest.readUInt16BE(2);
        at = 4;
      }
      if (rest.length < at + 4 + size) return;
      const mask = rest.subarray(at, at + 4),
        body = Buffer.from(rest.subarray(at + 4, at + 4 + size)).map((byte, i) => byte ^ mask[i % 4]);
      const kind = rest[0] & 15;
      rest = rest.subarray(at + 4 + size);
      if (kind === 1) link.message(Buffer.from(body).toString());
      else if (kind === 9) frame(10, Buffer.from(body));
      else if (kind === 8) {
        socket.end();
        return;
      }
    }
  });
  socket.on('close', () => link.closed());
  socket.on('error', () => {});
  setInterval(() => frame(9, Buffer.alloc(0)), 20000).unref();
  return link;
}
