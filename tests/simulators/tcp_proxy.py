"""A proxy before Postgres that misbehaves at one chosen message.

It knows how the messages of the protocol are framed, so that a fault can hit each of them, in
either direction, on an unencrypted connection:

- *cut before* and *cut after*: both sides lose the connection around the message;
- *hole*: from this message on nothing passes either way, and nobody is told;
- *late*: the message and all that follows wait until `release`, even if its sender has given up;
- *twice*: the message arrives two times.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, Self

Direction = Literal["to server", "to client"]
Action = Literal["cut before", "cut after", "hole", "late", "twice"]
ACTIONS: tuple[Action, ...] = ("cut before", "cut after", "hole", "late", "twice")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the n-th message (from 0) in a direction, counted from `arm`."""

    direction: Direction
    message: int
    action: Action


@dataclass(eq=False)
class _Link:
    """One proxied connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    holed: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class TcpProxy:
    """Listens on loopback and passes everything on to a server, but for the armed fault."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: list[_Link] = []
        self._fault: Fault | None = None
        self._released = asyncio.Event()
        self.port = 0
        self.struck = asyncio.Event()
        """Set when the armed fault has happened."""
        self.passed: Counter[Direction] = Counter()
        """Messages since `arm`."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._released.set()
        self.cut_all()
        for link in self._links:
            await link.ended.wait()
        await self._server.wait_closed()

    def arm(self, fault: Fault | None) -> None:
        """Begin to count, and let a fault happen once."""
        self._fault = fault
        self.struck.clear()
        self._released.clear()
        self.passed.clear()

    async def release(self) -> None:
        """Let what was late arrive, and wait until the server is done with it."""
        self._released.set()
        for link in self._links:
            if link.client.transport.is_closing() and not link.holed:
                await link.ended.wait()

    def cut_all(self) -> None:
        """Cut every connection there is."""
        for link in self._links:
            link.cut()

    # --- the connections --------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back = await asyncio.open_connection(*self._target)
        link = _Link(writer, back)
        self._links.append(link)
        try:
            await asyncio.gather(
                self._pump(link, "to server", reader, back),
                self._pump(link, "to client", back_reader, writer),
            )
        finally:
            for end in (writer, back):
                end.close()
            link.ended.set()

    async def _pump(
        self,
        link: _Link,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        first = direction == "to server"  # the start-up packet has no type
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(4 if first else 5)
                (length,) = struct.unpack("!i", head[-4:])
                frame = head + await reader.readexactly(length - 4)
                first = False
                await self._pass(link, direction, writer, frame)
        if not link.holed:
            with contextlib.suppress(ConnectionError, OSError):
                writer.write_eof()

    async def _pass(
        self, link: _Link, direction: Direction, writer: asyncio.StreamWriter, frame: bytes
    ) -> None:
        number = self.passed[direction]
        self.passed[direction] += 1
        fault = self._fault
        action: Action | None = None
        if (
            fault is not None
            and not self.struck.is_set()
            and (fault.direction, fault.message) == (direction, number)
        ):
            self.struck.set()
            action = fault.action
        if link.holed:
            return
        match action:
            case "cut before":
                link.cut()
                raise ConnectionAbortedError
            case "hole":
                link.holed = True
                return
            case "late":
                await self._released.wait()
            case "twice":
                writer.write(frame)
        writer.write(frame)
        await writer.drain()
        if action == "cut after":
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            link.cut()
            raise ConnectionAbortedError
