"""The cheapest service one could write with the same parts: `python -m bench.bare --port PORT ANSWERS`.

It reads each request's body and answers with the next line of the file ANSWERS, over and over. What our service takes
longer than this is what it spends on recommending; what it cannot fall below is this.
"""

import argparse
import asyncio
import signal
import sys
from itertools import cycle
from pathlib import Path

import uvloop
from aiohttp import web

from bench.load import HOST

#: As service.server has it, which is not imported: with all that it needs this would not be a bare process.
KEEPALIVE_SECONDS = 75.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m bench.bare", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("answers", type=Path, help="a file with one body a line")
    options = parser.parse_args(arguments)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options.answers.read_bytes().splitlines(), options.port))
    return 0


async def _serve(answers: list[bytes], port: int) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    runner = web.AppRunner(
        _app(answers), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, handle_signals=False
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
        await stop.wait()
    finally:
        await runner.cleanup()


def _app(answers: list[bytes]) -> web.Application:
    bodies = cycle(answers)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=next(bodies), content_type="application/json")

    async def ready(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/v1/recommendations", answer), web.get("/ready", ready)])
    return app


if __name__ == "__main__":
    sys.exit(main())
