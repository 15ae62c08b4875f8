"""A simulated service over real HTTP/1.1 on loopback, with the ways in which a wire fails.

The server runs on an event loop of its own in a daemon thread, so that a test's loop may block, be
qasync's or stand still. It answers whatever `Service` it is given. A request that has come in
lands, however late, even if its client has gone: that is how a slow ConnectWise stores a note that
nobody waits for any more.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

from tests.simulators.exchange import Exchange, Outcome, Response, Service

_HEAD_LIMIT = 64 * 1024


@dataclass
class _Head:
    method: str
    target: str
    headers: dict[str, str]


class HttpServer:
    """Serves a service on 127.0.0.1; a context manager. `latency` delays every answer, in seconds.

    `away()` closes the port and every connection, `back()` opens the same port again.
    """

    def __init__(
        self,
        service: Service,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        latency: float = 0.0,
    ) -> None:
        self.latency = latency
        self.port = port
        self._service = service
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._landings: set[asyncio.Task[Response]] = set()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address with its scheme."""
        return f"{'https' if self._tls else 'http'}://{self.address}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.back()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.away()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def away(self) -> None:
        """Refuse connections from now on and cut those that are open."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    def back(self) -> None:
        """Listen again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def settle(self) -> None:
        """Wait until every request that came in has landed."""
        asyncio.run_coroutine_threadsafe(self._landed(), self._loop).result(60)

    # On the server's own loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accepted, "127.0.0.1", self.port, ssl=self._tls, limit=_HEAD_LIMIT
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _landed(self) -> None:
        await asyncio.gather(*self._landings, return_exceptions=True)

    async def _stop(self) -> None:
        for task in tuple(self._landings):
            task.cancel()
        await self._landed()
        await self._loop.shutdown_default_executor()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (head := await _read_head(reader)) is not None:
                length = int(head.headers.get("content-length", "0"))
                body = await reader.readexactly(length)
                if not await self._answered(head, body, writer):
                    break
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, or the server is away
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _answered(self, head: _Head, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Play one exchange; tell whether the connection lives on."""
        with self._lock:
            exchange = self._service.receive(head.method, head.target, head.headers, body)
        outcome = exchange.fault.outcome
        if outcome is Outcome.REFUSE:
            return False
        landing = self._loop.create_task(self._land(exchange))
        self._landings.add(landing)
        landing.add_done_callback(self._landings.discard)
        response = await asyncio.shield(landing)
        if outcome is Outcome.HANG:
            await asyncio.Event().wait()
        if outcome is Outcome.DROP:
            return False
        await self._write(response, outcome, writer)
        return outcome is Outcome.ANSWER and head.headers.get("connection", "") != "close"

    async def _land(self, exchange: Exchange) -> Response:
        delay = exchange.fault.delay + self.latency
        if delay:
            await asyncio.sleep(delay)
        with self._lock:
            return self._service.land(exchange)

    async def _write(
        self, response: Response, outcome: Outcome, writer: asyncio.StreamWriter
    ) -> None:
        body = response.body
        reason = HTTPStatus(response.status).phrase if response.status < 520 else "Error"
        lines = [f"HTTP/1.1 {response.status} {reason}"]
        headers = {"content-type": "application/json", **response.headers}
        headers["content-length"] = str(len(body))
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        if outcome is Outcome.ANSWER:
            writer.write(body)
            await writer.drain()
            return
        writer.write(body[: len(body) // 2])
        await writer.drain()
        if outcome is Outcome.RESET:
            _reset_on_close(writer)


async def _read_head(reader: asyncio.StreamReader) -> _Head | None:
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = block.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in rest if line)
    return _Head(method, target, {name.strip().lower(): value.strip() for name, _, value in pairs})


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    """Make closing the socket send RST instead of FIN."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port of this machine on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
