"""A network without a wire and a clock without a wall, for thousands of schedules a minute.

`VirtualNetwork` mounts a simulated service as an httpx transport. Time passes only when something
waits: a slow answer moves the clock by its delay, a client's time-out moves it by its limit, and
`VirtualClock.sleep` takes the place of `asyncio.sleep`. A request whose client gave up still lands
when its moment comes.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx

from tests.simulators.exchange import Outcome, Response, Service

_BEGINNING = datetime(2026, 9, 1, 14, 0, tzinfo=UTC)


class VirtualClock:
    """Tells a time that only `advance` and `sleep` move; what was planned happens on the way."""

    def __init__(self, now: datetime = _BEGINNING) -> None:
        self._now = now
        self._began = now
        self._planned: list[tuple[datetime, int, Callable[[], object]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds since the beginning."""
        return (self._now - self._began).total_seconds()

    def plan(self, seconds: float, event: Callable[[], object]) -> None:
        """Let something happen in so many seconds."""
        heapq.heappush(
            self._planned, (self._now + timedelta(seconds=seconds), next(self._order), event)
        )

    def advance(self, seconds: float) -> None:
        """Let time pass, and what was planned for it happen."""
        until = self._now + timedelta(seconds=max(0.0, seconds))
        while self._planned and self._planned[0][0] <= until:
            self._now, _, event = heapq.heappop(self._planned)
            event()
        self._now = until

    async def sleep(self, seconds: float) -> None:
        """Take the place of asyncio.sleep."""
        self.advance(seconds)


class _BrokenStream(httpx.AsyncByteStream):
    """Half a body, then the end of the connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.ReadError("connection reset")


class VirtualNetwork(httpx.AsyncBaseTransport):
    """Carries requests to a service in virtual time. `away` refuses every connection."""

    def __init__(self, service: Service, clock: VirtualClock) -> None:
        self.away = False
        self._service = service
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Play one exchange."""
        await asyncio.sleep(0)  # others get their turn, as they do while a wire is waited for
        if self.away:
            raise httpx.ConnectError("connection refused", request=request)
        body = await request.aread()
        target = request.url.raw_path.decode("ascii")
        exchange = self._service.receive(request.method, target, dict(request.headers), body)
        fault = exchange.fault
        if fault.outcome is Outcome.REFUSE:
            raise httpx.ConnectError("connection refused", request=request)
        patience = request.extensions.get("timeout", {}).get("read")
        if patience is not None and fault.delay > patience:
            self._clock.plan(fault.delay, lambda: self._service.land(exchange))
            self._clock.advance(patience)
            raise httpx.ReadTimeout("no answer in time", request=request)
        self._clock.advance(fault.delay)
        response = self._service.land(exchange)
        if fault.outcome is Outcome.HANG:
            self._clock.advance(patience if patience is not None else 3600.0)
            raise httpx.ReadTimeout("no answer in time", request=request)
        if fault.outcome is Outcome.DROP:
            raise httpx.RemoteProtocolError("server disconnected", request=request)
        return _as_httpx(response, fault.outcome)


def _as_httpx(response: Response, outcome: Outcome) -> httpx.Response:
    headers = {"content-type": "application/json", **response.headers}
    if outcome is Outcome.ANSWER:
        return httpx.Response(response.status, headers=headers, content=response.body)
    headers["content-length"] = str(len(response.body))
    return httpx.Response(response.status, headers=headers, stream=_BrokenStream(response.body))
