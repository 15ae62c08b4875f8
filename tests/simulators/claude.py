"""A simulated Messages API over real HTTP: `python -m tests.simulators.claude --port N`.

It speaks what the SDK speaks: server-sent events and whole answers, `/v1/models`, counting tokens,
errors with the API's bodies and request ids. It holds requests to the API's rules (order of roles,
place of system messages, empty blocks, breakpoints) and counts usage by a prompt cache that behaves
as the real one, on a clock that tests move. Answers come from a script, or else from rules.

The server runs on an event loop of its own in a daemon thread, so that the loop under test may be
qasync's, or stand still.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import signal
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from tests.simulators.claude_answers import answer_to
from tests.simulators.claude_cache import CacheRuleError, Metered, PromptCache, token_count

Json = dict[str, Any]
KEY = "sk-ant-practice-key"
MODELS = {
    "claude-opus-5-5": ("Claude Opus 5.5", "active"),
    "claude-sonnet-5-5": ("Claude Sonnet 5.5", "active"),
    "claude-haiku-5-5": ("Claude Haiku 5.5", "active"),
    "claude-sonnet-4-6": ("Claude Sonnet 4.6", "deprecated"),
}
_WITHOUT_SYSTEM_TURNS = ("sonnet-4", "haiku-4", "opus-4-6")
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Break(Enum):
    """How a stream goes wrong right before one of its events."""

    STALL = "nothing more comes"
    DIE = "the connection is cut"
    END = "the stream ends politely"
    REPEAT = "the event comes twice"
    NO_JSON = "an event whose data is no JSON"
    NO_TEXT = "bytes that are no UTF-8"
    NO_OBJECT = "an event whose data is a list"
    NO_FIELDS = "an event that lacks everything"
    UNKNOWN = "an event of an unknown type"
    ERROR = "an error event: overloaded"


@dataclass(frozen=True)
class Answer:
    """One answer: a card or raw text, how it is cut into events, and what goes wrong with it.

    `breaks` is how and before which event. `pace` is in seconds between events.
    """

    json: Json | None = None
    text: str | None = None
    stop_reason: str = "end_turn"
    stop_details: Json | None = None
    thinking: str = ""
    chunk: int = 24
    pace: float = 0.0
    breaks: tuple[Break, int] | None = None

    def body(self, request: Json) -> str:
        """The text of the answer."""
        if self.text is not None:
            return self.text
        return json.dumps(answer_to(request) if self.json is None else self.json)


@dataclass(frozen=True)
class Failure:
    """An HTTP error with the API's body, or a body of its own."""

    status: int
    message: str = "Something is wrong"
    type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Hang:
    """The request is taken in and never answered."""


@dataclass(frozen=True)
class Drop:
    """The request is taken in and the connection closed."""


Reaction = Answer | Failure | Hang | Drop


@dataclass(frozen=True)
class Received:
    """A request as it came in, and what it cost."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    usage: Metered | None = None

    @property
    def body(self) -> Json:
        """The body, read as JSON."""
        loaded: Json = json.loads(self.raw)
        return loaded


class ClaudeSimulator:
    """Serves on 127.0.0.1; a context manager. `url` is the base URL for the SDK."""

    def __init__(
        self,
        *,
        port: int = 0,
        key: str = KEY,
        now: Callable[[], float] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self._tls = tls
        self.key = key
        self.requests: list[Received] = []
        self.refuses_system_turns = False
        self.refuses_effort = False
        self.max_input_tokens = 1_000_000
        self.pace = 0.0
        self._seconds = 0.0
        self._cache = PromptCache(now or (lambda: self._seconds))
        self._script: deque[Reaction] = deque()
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="claude-simulator", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections clients hold at this moment."""
        return len(self._connections)

    def script(self, *reactions: Reaction) -> None:
        """Answer the next requests for messages in this way, one after the other."""
        self._script.extend(reactions)

    def advance(self, *, seconds: float = 0.0, minutes: float = 0.0) -> None:
        """Let time pass for the cache."""
        self._seconds += seconds + 60.0 * minutes

    def drain(self) -> None:
        """Wait until no client holds a connection."""
        asyncio.run_coroutine_threadsafe(self._drained(), self._loop).result(10)

    def asked(self) -> list[Json]:
        """The bodies of all requests for messages so far."""
        return [item.body for item in self.requests if item.path == "/v1/messages"]

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
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def away(self) -> None:
        """Refuse connections from now on and cut those that are open."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    def back(self) -> None:
        """Listen again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    # On the server's own loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accepted, "127.0.0.1", self.port, ssl=self._tls
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _drained(self) -> None:
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (request := await _read(reader, next(self._numbers))) is not None:
                if not await self._serve(request, reader, writer):
                    break
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, or the server is away
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; tell whether the connection lives on."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        reaction: Reaction
        if self.key not in (given, request.headers.get("x-api-key")):
            reaction = Failure(401, "invalid x-api-key")
        elif request.path == "/v1/models":
            await _whole(writer, request.number, 200, _models())
            self.requests.append(request)
            return True
        elif request.path == "/v1/messages/count_tokens":
            self.requests.append(request)
            await _whole(writer, request.number, 200, {"input_tokens": token_count(request.body)})
            return True
        elif request.path != "/v1/messages":
            reaction = Failure(404, "Not found")
        else:
            reaction = self._reaction(request.body)
        if isinstance(reaction, Answer):
            usage = self._cache.meter(request.body)
            self.requests.append(Received(**{**vars(request), "usage": usage}))
            if request.body.get("stream"):
                return await self._stream(reaction, request, usage, reader, writer)
            await _whole(
                writer, request.number, 200, _message(reaction, request.body, request.number, usage)
            )
            return True
        self.requests.append(request)
        match reaction:
            case Failure():
                await _fail(writer, request.number, reaction)
                return True
            case Hang():
                await reader.read()
        return False

    def _reaction(self, body: Json) -> Reaction:
        problem = self._problem(body)
        if problem is not None:
            return problem
        return self._script.popleft() if self._script else Answer(pace=self.pace)

    def _problem(self, body: Json) -> Failure | None:
        """Hold a request to the API's rules."""
        model = str(body.get("model"))
        if model not in MODELS:
            return Failure(404, f"model: {model}")
        tokens = token_count(body)
        if tokens > self.max_input_tokens:
            return Failure(
                400, f"prompt is too long: {tokens} tokens > {self.max_input_tokens} maximum"
            )
        output = body.get("output_config") or {}
        if self.refuses_effort and output.get("effort"):
            return Failure(400, "This model does not support the effort parameter.")
        message = _broken_rule(
            body["messages"],
            system_turns=not self.refuses_system_turns
            and not any(name in model for name in _WITHOUT_SYSTEM_TURNS),
        ) or _broken_schema((output.get("format") or {}).get("schema"))
        if message:
            return Failure(400, message)
        try:
            PromptCache(lambda: 0.0).meter(body)
        except CacheRuleError as error:
            return Failure(400, str(error))
        return None

    async def _stream(
        self,
        answer: Answer,
        request: Received,
        usage: Metered,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"transfer-encoding: chunked\r\n"
            + f"request-id: {_request_id(request.number)}\r\n\r\n".encode()
        )
        how, where = answer.breaks or (None, -1)
        for index, event in enumerate(_events(answer, request, usage)):
            if index == where:
                if how is Break.DIE:
                    return False
                if how is Break.END:
                    break
                if how is Break.STALL:
                    await writer.drain()
                    await reader.read()
                    return False
                assert how is not None
                _chunk(writer, _disturbance(how, event))
                if how is Break.ERROR:
                    break
            _chunk(writer, event)
            await writer.drain()
            if answer.pace:
                await asyncio.sleep(answer.pace)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def event_count(answer: Answer, request: Json | None = None) -> int:
    """Return into how many events an answer is cut."""
    received = Received(0, "POST", "/v1/messages", {}, json.dumps(request or {}).encode())
    return len(list(_events(answer, received, Metered(0, 0, 0, 0))))


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[ClaudeSimulator]:
    """Run a simulator for the length of a block."""
    with ClaudeSimulator(**settings) as simulator:
        yield simulator


def _broken_rule(messages: list[Json], *, system_turns: bool) -> str:
    """Return what the API would say about an order of messages, or nothing."""
    if not messages or messages[0]["role"] != "user":
        return 'messages: first message must use the "user" role'
    for index, message in enumerate(messages):
        content = message["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        if not parts or any(part["type"] == "text" and not part["text"].strip() for part in parts):
            return f"messages.{index}: text content blocks must be non-empty"
        if message["role"] != "system":
            continue
        if not system_turns:
            return "role 'system' is not supported on this model"
        after = messages[index + 1]["role"] if index + 1 < len(messages) else "assistant"
        if messages[index - 1]["role"] != "user" or after != "assistant":
            return (
                f"messages.{index}: a system message must follow a user message and be last or "
                "followed by an assistant message"
            )
    if messages[-1]["role"] == "assistant":
        return "This model does not support assistant message prefill."
    return ""


def _broken_schema(schema: Any) -> str:
    """Return what the API would say about a schema of the output, or nothing."""
    if not isinstance(schema, dict):
        return ""
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "output_config.format.schema: 'additionalProperties' must be false"
    nested = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    nested += [schema["items"]] if "items" in schema else []
    return next((words for part in nested if (words := _broken_schema(part))), "")


def _events(answer: Answer, request: Received, usage: Metered) -> Iterator[bytes]:
    text = answer.body(request.body)
    message = _message(answer, request.body, request.number, usage)
    start = {**message, "content": [], "stop_reason": None, "stop_details": None}
    start["usage"] = {**message["usage"], "output_tokens": 1}
    yield _event("message_start", message=start)
    yield _event("ping")
    index = 0
    if answer.thinking:
        block: Json = {"type": "thinking", "thinking": "", "signature": ""}
        yield _event("content_block_start", index=index, content_block=block)
        for part in _cut(answer.thinking, answer.chunk):
            delta = {"type": "thinking_delta", "thinking": part}
            yield _event("content_block_delta", index=index, delta=delta)
        delta = {"type": "signature_delta", "signature": "c2lnbmVk"}
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
        index += 1
    if text:
        yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for part in _cut(text, answer.chunk):
            delta = {"type": "text_delta", "text": part}
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    yield _event(
        "message_delta",
        delta={
            "stop_reason": answer.stop_reason,
            "stop_sequence": None,
            "stop_details": answer.stop_details,
        },
        usage={"output_tokens": message["usage"]["output_tokens"]},
    )
    yield _event("message_stop")


def _message(answer: Answer, request: Json, number: int, usage: Metered) -> Json:
    text = answer.body(request)
    return {
        "id": f"msg_{number:08d}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", ""),
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "stop_details": answer.stop_details,
        "usage": {
            "input_tokens": usage.input_tokens,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.cache_write_5m,
                "ephemeral_1h_input_tokens": usage.cache_write_1h,
            },
            "output_tokens": (len(text) + len(answer.thinking)) // 4 + 1,
            "service_tier": "standard",
        },
    }


def _disturbance(how: Break, event: bytes) -> bytes:
    match how:
        case Break.REPEAT:
            return event
        case Break.NO_JSON:
            return b'event: content_block_delta\ndata: {"type": "content_\n\n'
        case Break.NO_TEXT:
            return b"event: content_block_delta\ndata: \xff\xfe\xfd\n\n"
        case Break.NO_OBJECT:
            return b"event: content_block_delta\ndata: [1, 2]\n\n"
        case Break.NO_FIELDS:
            return b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n'
        case Break.UNKNOWN:
            return b'event: weather_report\ndata: {"type": "weather_report", "sky": "blue"}\n\n'
        case _:
            return _event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _cut(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _models() -> Json:
    data = [
        {
            "type": "model",
            "id": name,
            "display_name": shown,
            "lifecycle": lifecycle,
            "created_at": "2026-09-28T00:00:00Z",
            "max_input_tokens": 1_000_000,
            "max_tokens": 128_000,
        }
        for name, (shown, lifecycle) in MODELS.items()
    ]
    return {
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"],
        "last_id": data[-1]["id"],
    }


def _request_id(number: int) -> str:
    return f"req_{number:08d}"


async def _read(reader: asyncio.StreamReader, number: int) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in rest if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(number, method, target.partition("?")[0], headers, raw)


async def _fail(writer: asyncio.StreamWriter, number: int, failure: Failure) -> None:
    kind = failure.type or _ERROR_TYPES.get(failure.status, "api_error")
    body: Json | str = {
        "type": "error",
        "error": {"type": kind, "message": failure.message},
        "request_id": _request_id(number),
    }
    await _whole(
        writer,
        number,
        failure.status,
        body if failure.body is None else failure.body,
        failure.headers,
    )


async def _whole(
    writer: asyncio.StreamWriter,
    number: int,
    status: int,
    body: Json | str,
    headers: dict[str, str] | None = None,
) -> None:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    reason = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    all_headers = {
        "content-type": "application/json",
        "request-id": _request_id(number),
        **(headers or {}),
        "content-length": str(len(content)),
    }
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{k}: {v}" for k, v in all_headers.items())]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)
    await writer.drain()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A simulated Messages API on loopback.")
    parser.add_argument("--port", type=int, default=8788)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--pace", type=float, default=0.02, help="seconds between events")
    arguments = parser.parse_args()
    with running(port=arguments.port, key=arguments.key, now=time.monotonic) as simulator:
        simulator.pace = arguments.pace
        print(f"Messages API at {simulator.url}, key {simulator.key}", flush=True)
        done = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: done.set())
        done.wait()


if __name__ == "__main__":
    main()
