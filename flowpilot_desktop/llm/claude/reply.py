"""An answer while it arrives: text and usage gathered from events, fields read from half a JSON.

Events are taken as they come and nothing is believed about their order: a repeated start begins its
part anew, deltas without a start are kept, and only ``message_stop`` makes an answer whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import Usage
from flowpilot_desktop.core.ticket import cleaned

_INTERVAL = 0.04
"""Seconds between two readings of the text so far; a screen shows no more than that."""

_LIMIT = 2_000


class Reply:
    """What has arrived of one answer."""

    def __init__(self) -> None:
        self.message_id = ""
        self.model = ""
        self.stop_reason = ""
        self.stop_category = ""
        self.usage = Usage()
        self.is_started = False
        self.is_complete = False
        self._blocks: dict[int, list[str]] = {}

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(part for index in sorted(self._blocks) for part in self._blocks[index])

    def take(self, event: Any) -> bool:
        """Take an event; return whether the answer began or grew. ValueError for a broken event."""
        try:
            return self._take(event)
        except (AttributeError, TypeError) as error:
            raise ValueError("An event of the stream lacks what belongs to its type") from error

    def _take(self, event: Any) -> bool:
        match getattr(event, "type", None):
            case "message_start":
                self._start(event.message)
                return True
            case "content_block_start":
                block = event.content_block
                if getattr(block, "type", "") == "text":
                    self._blocks[event.index] = [block.text] if block.text else []
            case "content_block_delta":
                delta = event.delta
                if getattr(delta, "type", "") == "text_delta" and delta.text:
                    self._blocks.setdefault(event.index, []).append(delta.text)
                    return True
            case "message_delta":
                self._stop(event.delta)
                self._count(event.usage)
            case "message_stop":
                self.is_complete = True
        return False

    def take_whole(self, message: Any) -> None:
        """Take an answer that came in one piece; ValueError for something else."""
        try:
            self._start(message)
            for index, block in enumerate(message.content or ()):
                if getattr(block, "type", "") == "text":
                    self._blocks[index] = [block.text]
        except (AttributeError, TypeError) as error:
            raise ValueError("What came is no message") from error
        self._stop(message)
        self.is_complete = True

    def _start(self, message: Any) -> None:
        self._blocks.clear()
        self.is_started = True
        self.message_id = message.id or ""
        self.model = message.model or ""
        self.usage = Usage()
        self._count(message.usage)

    def _stop(self, source: Any) -> None:
        self.stop_reason = getattr(source, "stop_reason", None) or ""
        details = getattr(source, "stop_details", None)
        self.stop_category = getattr(details, "category", None) or ""

    def _count(self, counts: Any) -> None:
        """Take counts, which are totals so far; what a message leaves out keeps its value."""

        def count(name: str, known: int) -> int:
            value = getattr(counts, name, None)
            return value if isinstance(value, int) and value >= 0 else known

        self.usage = Usage(
            input_tokens=count("input_tokens", self.usage.input_tokens),
            output_tokens=count("output_tokens", self.usage.output_tokens),
            cache_read_tokens=count("cache_read_input_tokens", self.usage.cache_read_tokens),
            cache_write_tokens=count("cache_creation_input_tokens", self.usage.cache_write_tokens),
        )


class Reading:
    """Reads the fields of a card from the text so far, at most every ``_INTERVAL`` seconds.

    Between readings an event costs a comparison, so an answer in many small events costs no more
    than one in few.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._shown: StepProgress | None = None

    def progress(self, reply: Reply) -> StepProgress | None:
        """Return the card so far if it is time and there is something new, first an empty one."""
        now = self._clock()
        if self._shown is not None and self._shown.text and now - self._last < _INTERVAL:
            return None
        self._last = now
        progress = _progress(reply.text) or self._shown or StepProgress()
        if progress == self._shown:
            return None
        self._shown = progress
        return progress


def _progress(text: str) -> StepProgress | None:
    from jiter import from_json  # noqa: PLC0415 - comes with the SDK, which is loaded by now

    start = text.find("{")
    if start < 0:
        return None
    try:
        fields = from_json(text[start:].encode(), partial_mode="trailing-strings")
    except ValueError:
        return None
    if not isinstance(fields, Mapping):
        return None
    options = fields.get("options")
    command = fields.get("command")
    return StepProgress(
        kind=_shown(fields.get("kind")),
        text=_shown(fields.get("text")),
        why=_shown(fields.get("why")),
        options=tuple(
            label
            for option in (options if isinstance(options, list) else ())
            if isinstance(option, Mapping) and (label := _shown(option.get("label")))
        ),
        command=_shown(command.get("text")) if isinstance(command, Mapping) else "",
        expected_outcome=_shown(fields.get("expected_outcome")),
    )


def _shown(value: Any) -> str:
    return cleaned(value[:_LIMIT]).strip() if isinstance(value, str) else ""
