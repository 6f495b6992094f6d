# SPDX-License-Identifier: Apache-2.0
"""A proxy between hosts and hub that does what networks do at their worst: it loses requests and answers, sends a
request twice, at once or long after, delays, cuts answers in the middle, and leaves connections open that nobody will
ever answer on. It takes whole HTTP requests and knows nothing of what they mean.
"""
import asyncio
import collections
import random
import threading

FATES = ("lose_request", "lose_answer", "double", "double_late", "delay", "cut", "half_open", "swallow")
CONNECTION_CLOSE = b"Connection: close\r\n"


class FlakyProxy:
    """Runs in a thread of its own. While `trouble` is above 0 so large a share of all requests meets a fate."""

    def __init__(self, target, seed):
        self.host, port = target.removeprefix("http://").split(":")
        self.port = int(port)
        self.trouble = 0.0
        self.fates = FATES
        self.met = collections.Counter()
        self._rng = random.Random(f"proxy {seed}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self._tasks = set()
        self.url = None

    def __enter__(self):
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)  # broken connections are this proxy's business
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        self._loop.run_forever()
        server.close()
        for _ in range(3):  # one that was just accepted begins meanwhile
            self._loop.run_until_complete(asyncio.sleep(0.01))
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0.01))  # for the last connections to be closed
        self._loop.close()

    def _fate(self):
        fate = self._rng.choice(self.fates) if self._rng.random() < self.trouble else "pass"
        self.met[fate] += 1
        return fate

    async def _serve(self, reader, writer):
        try:
            request = await self._request(reader)
            if request:
                await self._meet(self._fate(), request, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _request(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        kept = []
        for line in head[:-4].split(b"\r\n"):
            name = line.split(b":")[0].lower()
            if name == b"content-length":
                length = int(line.split(b":")[1])
            if name != b"connection":
                kept.append(line)
        body = await reader.readexactly(length)
        return b"\r\n".join(kept) + b"\r\n" + CONNECTION_CLOSE + b"\r\n" + body

    async def _ask(self, request):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()

    async def _ask_later(self, request, seconds):
        await asyncio.sleep(seconds)
        try:
            await self._ask(request)
        except OSError:
            pass

    def _beside(self, work):
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _meet(self, fate, request, reader, writer):
        if fate == "lose_request":
            return
        if fate == "swallow":
            await reader.read(-1)
            return
        if fate == "delay":
            await asyncio.sleep(self._rng.uniform(0, 1))
        if fate == "double":
            self._beside(self._ask_later(request, self._rng.uniform(0, 0.05)))
        answer = await self._ask(request)
        if fate == "double_late":
            self._beside(self._ask_later(request, self._rng.uniform(0.1, 3)))
        if fate == "delay":
            await asyncio.sleep(self._rng.uniform(0, 1))
        if fate == "half_open":
            await reader.read(-1)
        elif fate != "lose_answer":
            writer.write(answer[:len(answer) // 2] if fate == "cut" else answer)
            await writer.drain()
