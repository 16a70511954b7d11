"""A line between a service and a server, which can be made to fail: `python -m bench.line PORT`, a process of its own.

It tells its own port, and then obeys a word a line from its standard input. `pass` is healthy. After `silent` it
accepts connections and never answers, on those that exist neither; after `drop` it breaks every connection at once;
after `unreachable` it does not even accept. `count` tells in JSON how often which operation of DynamoDB was asked for.
"""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"
MODES = ("pass", "silent", "drop", "unreachable")

_OPERATION = re.compile(rb"x-amz-target: \w+\.(\w+)\r\n", re.IGNORECASE)
_CHUNK = 65_536
#: Longer than what names an operation: such an end of a chunk may hold the beginning of one.
_TAIL = 100
#: How many connections may wait for an accept that does not come: the kernel leaves the others without an answer.
_BACKLOG = 1


class Line:
    """One end of the line, as the process that asked for it sees it; made by `running_line`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._read())

    def turn(self, mode: str) -> None:
        """Into one of MODES; returns when that holds."""
        self._say(mode)

    def counted(self) -> Counter[str]:
        """How often which operation was asked for."""
        return Counter(json.loads(self._say("count")))

    def _say(self, word: str) -> str:
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def running_line(port: int) -> Iterator[Line]:
    """A line to that port of this machine, until the end of the block."""
    command = [sys.executable, "-m", "bench.line", str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Line(process)
        finally:
            process.kill()


class _Server:
    def __init__(self, target: int) -> None:
        self._target = target
        self._mode = "pass"
        self._accepts = asyncio.Event()
        self._accepts.set()
        self._listener = socket.create_server((HOST, 0), backlog=100)
        self._listener.setblocking(False)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = int(self._listener.getsockname()[1])
        self.operations: Counter[str] = Counter()

    def turn(self, mode: str) -> None:
        self._mode = mode
        if mode == "unreachable":
            self._accepts.clear()
            self._listener.listen(_BACKLOG)
        else:
            self._listener.listen(100)
            self._accepts.set()
        if mode == "drop":
            for writer in self._open:
                writer.transport.abort()

    async def run(self) -> None:
        while True:
            await self._accepts.wait()
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            task = asyncio.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        if self._mode == "drop":
            writer.transport.abort()
            return
        ends = [writer]
        self._open.add(writer)
        try:
            if self._mode != "pass":
                await _swallow(reader)
                return
            theirs, ours = await asyncio.open_connection(HOST, self._target)
            ends.append(ours)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, ours, counts=True))
                group.create_task(self._carry(theirs, writer, counts=False))
        except* OSError:
            pass  # either end has broken off, which is what this is for
        finally:
            self._open.discard(writer)
            for end in ends:
                end.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        """What comes from one end to the other, until that closes; nothing any more once the line is bad."""
        tail = b""
        while data := await reader.read(_CHUNK):
            if self._mode != "pass":
                await _swallow(reader)
                return
            if counts:
                tail = self._count(tail + data)
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    def _count(self, data: bytes) -> bytes:
        """Count what is named; returns what may be the beginning of another name."""
        end = 0
        for found in _OPERATION.finditer(data):
            self.operations[found[1].decode()] += 1
            end = found.end()
        return data[max(end, len(data) - _TAIL) :]


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK):
        pass


async def _obey(port: int) -> None:
    server = _Server(port)
    print(server.port, flush=True)
    serving = asyncio.create_task(server.run())
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if word == "count":
            print(json.dumps(server.operations), flush=True)
            continue
        server.turn(word)
        print(word, flush=True)
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(_obey(int(sys.argv[1])))
