"""An answer is read while it arrives: the first word at once, and no event costs much."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import Usage
from flowpilot_desktop.llm.claude.reply import Reading, Reply
from tests.simulators.claude_answers import card

LONG = card(
    text="Look at the spooler on <server name>. " * 40,
    why="It separates the driver from the service. " * 20,
    options=[{"label": f"Option {n}", "value": f"o{n}"} for n in range(6)],
    command={"text": "Get-Service <name>", "shell": "powershell", "risk": "read_only", "undo": ""},
    expected_outcome="It runs.",
)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def event(kind: str, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(type=kind, **fields)


def delta(text: str, index: int = 0) -> SimpleNamespace:
    return event(
        "content_block_delta", index=index, delta=SimpleNamespace(type="text_delta", text=text)
    )


def started(**usage: int) -> SimpleNamespace:
    message = SimpleNamespace(id="msg_1", model="m", usage=SimpleNamespace(**usage))
    return event("message_start", message=message)


def played(text: str, size: int, tick: float) -> list[StepProgress]:
    clock = Clock()
    reply, reading = Reply(), Reading(clock)
    shown = []
    for start in range(0, len(text), size):
        clock.seconds += tick
        if reply.take(delta(text[start : start + size])) and (found := reading.progress(reply)):
            shown.append(found)
    return shown


def test_the_first_word_is_shown_at_once():
    text = json.dumps(LONG)
    clock = Clock()
    reply, reading = Reply(), Reading(clock)
    for position, letter in enumerate(text):
        reply.take(delta(letter))
        found = reading.progress(reply)
        if found and found.text:
            assert text[:position].endswith('"text": "')
            assert found.kind == "action"
            return
    pytest.fail("no text was ever shown")


@pytest.mark.parametrize("size", [1, 7, 64, 5_000])
def test_every_field_fills_as_it_comes(size: int):
    shown = played(json.dumps(LONG), size, tick=0.05)
    last = shown[-1]
    assert last.kind == "action"
    assert LONG["text"].startswith(last.text[:1_900])
    assert last.options == tuple(f"Option {n}" for n in range(6))
    assert last.command == "Get-Service <name>"
    assert last.expected_outcome == "It runs."
    assert len(set(shown)) == len(shown), "nothing is shown twice"


def test_a_screen_is_told_at_most_every_40_milliseconds():
    text = json.dumps(LONG)
    shown = played(text, 1, tick=0.001)
    assert len(shown) < len(text) * 0.001 / 0.04 + 15


def test_many_small_events_cost_no_more_than_few_large_ones():
    """The work per letter does not grow with what has already come."""
    text = json.dumps(card(text="word " * 400, why="x" * 20_000, follow_ups=["y" * 200] * 100))

    def seconds(size: int) -> float:
        began = time.perf_counter()
        played(text, size, tick=0.001 * size)
        return time.perf_counter() - began

    per_event = min(seconds(1) for _ in range(3)) / len(text)
    assert per_event < 0.0005, f"{per_event * 1e6:.0f} µs an event"


def test_control_and_hidden_characters_are_never_shown():
    text = '{"kind": "action", "text": "a\\u202eb\\u0007c\\u200bd'
    assert played(text, len(text), 1)[-1].text == "abcd"


@pytest.mark.parametrize(
    "text",
    ["", "x", "[1", '"', "{", '{"kind"', '{"text": 7', '{"options": {"label": 1}', '{"command": []',
     '{"options": [1, {"label": null}, {"value": "v"}]', "{'kind': 'x'}", "\x00{"],
)  # fmt: skip
def test_half_and_broken_answers_show_nothing_wrong(text: str):
    for progress in played(text, 1, 1):
        assert progress.text == ""
        assert progress.options == ()
        assert progress.command == ""


def test_text_before_the_object_is_passed_over():
    assert played('Here it is: {"kind": "action", "text": "Look', 200, 1)[-1].text == "Look"


def test_thinking_is_not_text():
    reply = Reply()
    thought = SimpleNamespace(type="thinking_delta", thinking="hm")
    assert not reply.take(event("content_block_delta", index=0, delta=thought))
    assert reply.take(delta("{}", index=1))
    assert reply.text == "{}"


def test_a_repeated_start_begins_anew():
    reply = Reply()
    reply.take(started(input_tokens=5, output_tokens=1))
    reply.take(delta("half"))
    reply.take(started(input_tokens=5, output_tokens=1))
    reply.take(delta("whole"))
    assert reply.text == "whole"
    block = SimpleNamespace(type="text", text="")
    reply.take(event("content_block_start", index=0, content_block=block))
    reply.take(delta("again"))
    assert reply.text == "again"


def test_counts_are_totals_and_missing_ones_stay():
    reply = Reply()
    reply.take(
        started(
            input_tokens=3,
            output_tokens=1,
            cache_read_input_tokens=100,
            cache_creation_input_tokens=20,
        )
    )
    stop = SimpleNamespace(stop_reason="end_turn", stop_details=None)
    counts = SimpleNamespace(output_tokens=40, input_tokens=None, cache_read_input_tokens=None)
    for _ in range(2):
        reply.take(event("message_delta", delta=stop, usage=counts))
    assert reply.usage == Usage(3, 40, 100, 20)
    assert reply.stop_reason == "end_turn"
    assert not reply.is_complete
    reply.take(event("message_stop"))
    assert reply.is_complete


@pytest.mark.parametrize(
    "broken",
    [event("message_start"), event("content_block_start"), event("content_block_delta"),
     event("message_delta"), event("message_start", message=None)],
)  # fmt: skip
def test_an_event_without_its_parts_is_said_to_be_broken(broken: SimpleNamespace):
    with pytest.raises(ValueError, match="lacks"):
        Reply().take(broken)


@pytest.mark.parametrize("other", [event("weather"), [1, 2], None, "text", SimpleNamespace()])
def test_what_is_no_event_is_passed_over(other: Any):
    assert Reply().take(other) is False
