"""Claude as a ``core.ports.Model``.

A step is one streamed call; an answer that is no card gets one chance to be repaired in the same
conversation, and then the technician gets a card by hand. The SDK retries connections and busy
servers by itself; it would also wait as long as a server asks, so a middleware lets it wait no
longer than a technician with a customer on the phone does. Every await ends: connecting, the
silence between two events, and the whole answer each have their limit.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from flowpilot_desktop.core.errors import ModelAnswerUnusable, ModelError, ModelUnavailable
from flowpilot_desktop.core.ports import (
    BriefingDraft,
    Consultation,
    ModelDescription,
    StepProgress,
)
from flowpilot_desktop.core.session import StepDraft, Usage
from flowpilot_desktop.llm.claude import failures
from flowpilot_desktop.llm.claude.failures import translated
from flowpilot_desktop.llm.claude.reply import Reading, Reply
from flowpilot_desktop.llm.claude.request import (
    Abilities,
    Json,
    briefing_request,
    repair_request,
    step_request,
)
from flowpilot_desktop.llm.prompts import prompt
from flowpilot_desktop.llm.registry import ModelSettings

if TYPE_CHECKING:
    import anthropic

log = logging.getLogger(__name__)

_ADDRESS = "https://api.anthropic.com"
_PAGE = 100
_BAD_REQUEST = 400


class Claude:
    """Claude with one key and one set of settings."""

    def __init__(self, settings: ModelSettings, key: str) -> None:
        self._settings = settings
        self._key = key.strip()
        self._client: anthropic.AsyncAnthropic | None = None
        self._abilities = Abilities()
        self._closed = False

    async def next_step(
        self, consultation: Consultation
    ) -> AsyncGenerator[StepProgress | StepDraft, None]:
        """Yield the card as it is written, and last the whole step.

        Close the iterator (``contextlib.aclosing``) to end the request early.
        """
        client = await self._ready()
        from flowpilot_desktop.llm import schema  # noqa: PLC0415 - imports pydantic

        form = _forms()[0]
        spent = Usage()
        fault: tuple[str, str] | None = None
        while True:
            request = step_request(self._settings, consultation, form, self._abilities)
            if fault is not None:
                request = repair_request(request, *fault)
            reply, reading = Reply(), Reading()
            try:
                async with aclosing(self._grown(client, request, reply)) as growths:
                    async for _ in growths:
                        if progress := reading.progress(reply):
                            model = reply.model or self._settings.model
                            yield replace(progress, model=model, usage=spent + reply.usage)
                draft = self._draft(schema, reply, consultation, spent + reply.usage)
            except schema.Malformed as error:
                spent += reply.usage
                if fault is not None:
                    unusable = failures.malformed(spent)
                    unusable.model = reply.model or self._settings.model
                    raise unusable from error
                log.warning("Claude's answer %s was no card: %s", reply.message_id, error)
                fault = (reply.text, str(error))
            except (ModelUnavailable, ModelAnswerUnusable) as error:
                if not self._gave_up_ability(error):
                    error.usage = spent + reply.usage
                    error.model = reply.model or self._settings.model
                    raise
            else:
                yield draft
                return

    async def briefing(self, consultation: Consultation) -> BriefingDraft:
        """Return hypotheses left and next steps, in one call of the fast model."""
        client = await self._ready()
        from flowpilot_desktop.llm import schema  # noqa: PLC0415 - imports pydantic

        request = briefing_request(self._settings, consultation, _forms()[1])
        reply = Reply()
        try:
            with self._translated(reply):
                async with asyncio.timeout(self._settings.timeouts.fast):
                    reply.take_whole(await client.messages.create(**request))
            if (refusal := failures.refusal_of(reply)) is not None:
                raise refusal
            try:
                answer = schema.parsed_briefing(reply.text)
            except schema.Malformed as error:
                raise failures.malformed(reply.usage) from error
        except ModelError as error:
            error.model = reply.model or self._settings.fast_model
            raise
        return schema.briefing_draft(answer, model=reply.model, usage=reply.usage)

    async def models(self) -> tuple[ModelDescription, ...]:
        """Return the models that the key can use, newest first; proves key and reach."""
        client = await self._ready()
        with self._translated():
            async with asyncio.timeout(self._settings.timeouts.fast):
                return tuple(
                    [
                        ModelDescription(
                            id=info.id,
                            name=info.display_name or info.id,
                            max_input_tokens=info.max_input_tokens,
                            lifecycle=info.lifecycle or "",
                        )
                        async for info in client.models.list(limit=_PAGE)
                    ]
                )

    async def aclose(self) -> None:
        """Close connections; asking again afterwards is refused."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _grown(
        self, client: anthropic.AsyncAnthropic, request: Json, reply: Reply
    ) -> AsyncGenerator[None, None]:
        """Stream an answer into ``reply``, yielding whenever its text grew."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeouts.whole
        with self._translated(reply):
            async with asyncio.timeout_at(deadline):
                stream = await client.messages.create(**request, stream=True)
        try:
            events = aiter(stream)
            while not reply.is_complete:
                with self._translated(reply):
                    async with asyncio.timeout_at(deadline):
                        event = await anext(events, None)
                    has_grown = event is not None and reply.take(event)
                if event is None:
                    break
                if has_grown:
                    yield
        finally:
            await stream.close()
        if not reply.is_started:
            raise failures.garbled()
        if not reply.is_complete:
            raise failures.cut_off()

    @contextmanager
    def _translated(self, reply: Reply | None = None) -> Iterator[None]:
        """Turn failures into our errors; what breaks because we closed is a broken connection."""
        try:
            with translated(reply):
                yield
        except ModelError:
            raise
        except Exception as error:
            if not self._closed:
                raise
            raise failures.closed() from error

    def _draft(
        self, schema: Any, reply: Reply, consultation: Consultation, spent: Usage
    ) -> StepDraft:
        """Return a whole answer as a step, or raise Malformed or why it is none."""
        if (refusal := failures.refusal_of(reply)) is not None:
            raise refusal
        try:
            answer = schema.parsed(reply.text)
            draft: StepDraft = schema.step_draft(
                answer,
                step_ids=consultation.step_ids,
                model=reply.model or self._settings.model,
                prompt_version=prompt("diagnosis").version,
                usage=spent,
            )
        except schema.Malformed as error:
            if reply.stop_reason != "end_turn":
                raise failures.stopped_early(reply) from error
            raise
        return draft

    def _gave_up_ability(self, error: ModelError) -> bool:
        """Do without what the server refuses, and say whether asking again makes sense."""
        cause = error.__cause__
        if not isinstance(error, ModelAnswerUnusable) or error.reason != "not_accepted":
            return False
        words = str(getattr(cause, "api_message", None) or "").lower()
        before = self._abilities
        if before.system_turns and "role" in words and "system" in words:
            self._abilities = Abilities(system_turns=False, effort=before.effort)
        elif before.effort and "effort" in words:
            self._abilities = Abilities(system_turns=before.system_turns, effort=False)
        if self._abilities != before:
            log.info("The server refuses a part of the request; going on without: %s", words[:200])
        return self._abilities != before

    async def _ready(self) -> anthropic.AsyncAnthropic:
        """Return the client, loading the SDK without blocking the loop."""
        if not self._key:
            raise failures.no_key()
        if not self._key.isascii() or not self._key.isprintable() or " " in self._key:
            raise failures.no_such_key()
        if self._closed:
            raise failures.closed()
        if self._client is None:
            await _loaded()
            if self._client is None:
                with self._translated():
                    self._client = self._connected()
        return self._client

    def _connected(self) -> anthropic.AsyncAnthropic:
        import anthropic  # noqa: PLC0415 - the slowest import of the app
        import httpx2  # noqa: PLC0415
        import truststore  # noqa: PLC0415

        limits = self._settings.timeouts
        timeout = httpx2.Timeout(limits.stall, connect=limits.connect, pool=limits.connect)
        address = self._settings.base_url.strip() or _ADDRESS
        url = httpx2.URL(address)
        if url.scheme not in ("http", "https") or not url.host:
            raise failures.no_address()
        client = anthropic.AsyncAnthropic(
            api_key=self._key,
            # Always explicit: a key must not follow an address from the environment.
            base_url=address,
            timeout=timeout,
            open_telemetry=False,
            middleware=[self._impatiently],
            http_client=anthropic.DefaultAsyncHttpxClient(
                base_url=address,
                timeout=timeout,
                verify=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            ),
        )
        # Otherwise the SDK finds it out on the loop's default executor, which under qasync is a
        # pool of QThreads.
        client._platform = _platform()  # noqa: SLF001
        return client

    async def _impatiently(self, request: Any, call_next: Any) -> Any:
        """Keep the SDK from waiting longer for a busy server than a person would."""
        response = await call_next(request)
        headers = response.http_response.headers
        try:
            asked = float(headers.get("retry-after") or 0.0)
        except ValueError:
            asked = 0.0
        if asked > self._settings.patience:
            headers["x-should-retry"] = "false"
        return response


def load() -> None:
    """Import the SDK and all that a first question needs; takes a second or two."""
    _forms()
    _platform()


@cache
def _forms() -> tuple[Json, Json]:
    """Return the JSON schemas of a step and of a briefing, as the API wants them."""
    import anthropic  # noqa: PLC0415 - the slowest import of the app
    import anthropic.resources.messages  # noqa: PLC0415 - the SDK imports it on first use

    from flowpilot_desktop.llm import schema  # noqa: PLC0415 - imports pydantic

    return (
        anthropic.transform_schema(schema.StepAnswer),
        anthropic.transform_schema(schema.BriefingAnswer),
    )


@cache
def _platform() -> Any:
    from anthropic._base_client import get_platform  # noqa: PLC0415

    return get_platform()


async def _loaded() -> None:
    """Wait until the SDK is imported, on a thread of its own so that the screen stays alive."""
    if _forms.cache_info().currsize and _platform.cache_info().currsize:
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            load()
        except BaseException as caught:  # noqa: BLE001 - told to whoever waits
            error = caught
        try:
            loop.call_soon_threadsafe(finish, error)
        except RuntimeError:
            log.debug("The loop ended while the SDK was loading")

    threading.Thread(target=work, name="load-claude", daemon=True).start()
    await done
