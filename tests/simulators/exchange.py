"""A request, its answer and what goes wrong between them, without any wire.

A simulated service is two pure steps over its state: `receive` takes a request in and decides its
fate, `land` lets it take effect and says the answer. Between the two lies time. Whoever mounts the
service (the HTTP server of ``http_server``, the virtual network of ``virtual``) only waits and
plays the outcome, so the same schedule means the same in both.

A `Fault` says of one request: does it take effect (`stored`), after how long (`delay`, seconds;
also when the client has given up by then), and what the client sees (`outcome`).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What came in. Header names are lower case; `number` counts from 1."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str = ""
    at: datetime = datetime.min.replace(tzinfo=UTC)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """What goes out."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Outcome(Enum):
    """What the client sees of an exchange."""

    ANSWER = "the answer"
    REFUSE = "no connection"
    DROP = "the connection closed without an answer"
    HANG = "nothing, for ever"
    RESET = "the connection reset in the middle of the body"
    TRUNCATE = "the connection closed before the promised end of the body"


@dataclass(frozen=True)
class Fault:
    """What happens to one request; `response` takes the place of the real answer."""

    outcome: Outcome = Outcome.ANSWER
    stored: bool = True
    delay: float = 0.0
    response: Response | None = None


def refused() -> Fault:
    """No connection. Over HTTP it is a connection closed unread: use `HttpServer.away` there."""
    return Fault(Outcome.REFUSE, stored=False)


def dropped(*, stored: bool) -> Fault:
    """The connection is closed without an answer, before or after the request took effect."""
    return Fault(Outcome.DROP, stored=stored)


def hanging(*, stored: bool) -> Fault:
    """No answer ever comes, before or after the request took effect."""
    return Fault(Outcome.HANG, stored=stored)


def reset() -> Fault:
    """The request took effect; the connection is reset in the middle of the answer."""
    return Fault(Outcome.RESET)


def truncated() -> Fault:
    """The request took effect; the answer ends before its promised length."""
    return Fault(Outcome.TRUNCATE)


def answered(
    status: int, *, stored: bool, body: str | bytes = b"", media_type: str = "application/json"
) -> Fault:
    """Some answer instead of the real one, before or after the request took effect."""
    content = body.encode() if isinstance(body, str) else body
    return Fault(stored=stored, response=Response(status, content, {"content-type": media_type}))


def html(status: int = 200, *, stored: bool = False) -> Fault:
    """A web page in the place of the answer: a proxy, Cloudflare, a hotel's sign-in page."""
    page = "<!DOCTYPE html><html><body><h1>Please wait</h1></body></html>"
    return answered(status, stored=stored, body=page, media_type="text/html; charset=utf-8")


def delayed(seconds: float) -> Fault:
    """The request takes effect and is answered late, whether or not the client still listens."""
    return Fault(delay=seconds)


@dataclass
class _Planned:
    fault: Fault
    matches: Callable[[Request], bool]
    times: int


class Faults:
    """The plan of what goes wrong; the first entry that matches a request is used up by it."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def plan(
        self,
        fault: Fault,
        *,
        number: int | None = None,
        method: str = "",
        path: str = "",
        times: int = 1,
    ) -> None:
        """Let a fault meet the request with this number, or the next ones that match.

        `path` is a regular expression found in the path; `times` of -1 means always.
        """

        def matches(request: Request) -> bool:
            return (
                (number is None or request.number == number)
                and (not method or request.method == method)
                and re.search(path, request.path) is not None
            )

        self._planned.append(_Planned(fault, matches, times))

    def clear(self) -> None:
        """Forget the plan."""
        self._planned.clear()

    def fate_of(self, request: Request) -> Fault:
        """Return what happens to a request."""
        for planned in self._planned:
            if planned.times and planned.matches(request):
                planned.times -= 1
                return planned.fault
        return Fault()


@dataclass(frozen=True)
class Exchange:
    """A request that came in, and its fate."""

    request: Request
    fault: Fault


class Service(Protocol):
    """What can be mounted."""

    def receive(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Exchange:
        """Take a request in: record it and decide its fate."""
        ...

    def land(self, exchange: Exchange) -> Response:
        """Let the request take effect as its fate allows; return what the client would see."""
        ...


def split_target(target: str) -> tuple[str, dict[str, str]]:
    """Return the path and the query of a request target."""
    parts = urlsplit(target)
    return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
