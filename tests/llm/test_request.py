"""What is sent: roles in the order that the API wants, pictures, settings, and no secret place."""

import base64
import itertools
from dataclasses import replace
from typing import Any

import pytest

from flowpilot_desktop.core.errors import ModelAnswerUnusable
from flowpilot_desktop.core.ports import Consultation, Picture, Speaker, Turn
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import Action, Resolution
from flowpilot_desktop.llm.claude.request import Abilities, step_request
from flowpilot_desktop.llm.prompts import prompt
from flowpilot_desktop.llm.registry import ModelSettings
from tests.llm.conftest import answer, asked
from tests.simulators.claude import Answer, ClaudeSimulator, _broken_rule


def told(order: str, **fields: Any) -> Consultation:
    """A consultation whose turns are given by their speakers' first letters."""
    redactor = Redactor()
    speakers = {speaker.value[0]: speaker for speaker in Speaker}
    turns = tuple(
        Turn(speakers[letter], redactor.redact(f"turn {number}"))
        for number, letter in enumerate(order, 1)
    )
    return Consultation("s", redactor.redact("It is broken."), turns, **fields)


def request(consultation: Consultation, abilities: Abilities | None = None) -> dict[str, Any]:
    return step_request(ModelSettings(), consultation, {}, abilities or Abilities())


@pytest.mark.parametrize(
    ("order", "roles"),
    [
        ("", "u"),
        ("t", "uu"),
        ("a", "us"),
        ("mt", "uau"),
        ("mta", "uaus"),
        ("mat", "uaus"),
        ("ma", "uaus"),
        ("mm", "uauau"),
        ("m", "uau"),
        ("mtaatta", "uaus"),
        ("amtamt", "usausau"),
        ("ttmtt", "uuau"),
    ],
)
def test_turns_become_messages_that_the_api_takes(order: str, roles: str):
    messages = request(told(order))["messages"]
    assert "".join(message["role"][0] for message in messages) == roles
    assert _broken_rule(messages, system_turns=True) == ""


@pytest.mark.parametrize("length", range(5))
def test_no_order_of_turns_breaks_a_rule(length: int):
    for order in itertools.product("tma", repeat=length):
        for concludes in (False, True):
            consultation = told("".join(order), must_conclude=concludes)
            messages = request(consultation)["messages"]
            assert _broken_rule(messages, system_turns=True) == "", order
            text = str(messages)
            assert all(f"turn {number}" in text for number in range(1, length + 1))
            plain = request(consultation, Abilities(system_turns=False))["messages"]
            assert _broken_rule(plain, system_turns=False) == "", order
            assert all(f"turn {number}" in str(plain) for number in range(1, length + 1))


@pytest.mark.parametrize("order", ["mt", "mtamt", "ttmta", "amtmt"])
def test_what_was_sent_stays_when_a_card_and_its_answer_follow(order: str):
    shorter, longer = request(told(order))["messages"], request(told(f"{order}mt"))["messages"]
    assert longer[: len(shorter)] == shorter


def test_the_last_card_is_asked_for_at_the_end():
    messages = request(told("mt", must_conclude=True))["messages"]
    assert messages[-1]["role"] == "system"
    assert messages[-1]["content"][0]["text"] == prompt("conclude").text
    first = request(told("", must_conclude=True))["messages"]
    assert [message["role"] for message in first] == ["user", "system"]


def test_breakpoints_stand_where_nothing_moves():
    body = request(told("mtmt"))
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert body["cache_control"] == hour
    assert body["system"][-1]["cache_control"] == hour
    assert body["messages"][0]["content"][0]["cache_control"] == hour
    assert all(
        "cache_control" not in block
        for message in body["messages"][1:]
        for block in message["content"]
    )


def test_pictures_follow_the_opening():
    picture = Picture("image/png", b"\x89PNG\r\n")
    content = request(told("", pictures=(picture,)))["messages"][0]["content"]
    assert [block["type"] for block in content] == ["text", "image"]
    assert base64.b64decode(content[1]["source"]["data"]) == picture.content
    with pytest.raises(ModelAnswerUnusable) as caught:
        request(told("", pictures=(Picture("image/tiff", b""),)))
    assert "TIFF" not in caught.value.title
    assert caught.value.reason == "not_accepted"


def test_a_picture_of_a_step_follows_the_words_of_its_turn():
    picture = Picture("image/png", b"\x89PNG\r\n")
    plain = told("mt")
    turns = (*plain.turns[:-1], replace(plain.turns[-1], pictures=(picture, picture)))
    content = request(replace(plain, turns=turns))["messages"][-1]["content"]
    assert [block["type"] for block in content] == ["text", "image", "image"]
    assert content[0] == request(plain)["messages"][-1]["content"][0]


async def test_a_picture_arrives(simulator: ClaudeSimulator, claude):
    await answer(claude(), told("", pictures=(Picture("image/webp", b"RIFF"),)))
    block = simulator.asked()[0]["messages"][0]["content"][1]
    assert block["source"]["media_type"] == "image/webp"


async def test_settings_are_sent(simulator: ClaudeSimulator, claude):
    await answer(claude(model="claude-opus-5-5", effort="low", max_tokens=777, cache_ttl="5m"))
    body = simulator.asked()[0]
    assert body["model"] == "claude-opus-5-5"
    assert body["output_config"]["effort"] == "low"
    assert body["max_tokens"] == 777
    assert body["cache_control"]["ttl"] == "5m"
    assert body["stream"] is True
    assert "temperature" not in body
    await answer(claude(effort=""))
    assert "effort" not in simulator.asked()[1]["output_config"]


async def test_the_fast_model_writes_the_briefing(simulator: ClaudeSimulator, claude):
    await claude(fast_model="claude-haiku-5-5").briefing(asked("Broken.", "Handed over."))
    body = simulator.asked()[0]
    assert body["model"] == "claude-haiku-5-5"
    assert "stream" not in body
    assert "Handed over." in body["messages"][0]["content"]


async def test_the_environment_changes_neither_address_nor_headers(
    simulator: ClaudeSimulator, claude, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    assert (await answer(claude())).body.text
    from flowpilot_desktop.llm.claude.adapter import Claude

    model = Claude(ModelSettings(), "key")
    client = await model._ready()
    assert str(client.base_url).rstrip("/") == "https://api.anthropic.com"
    assert client.api_key == "key"
    await model.aclose()


# --- what a server or a model does without ---------------------------------------------------


async def test_a_server_that_refuses_system_turns_gets_the_words_as_the_users(
    simulator: ClaudeSimulator, claude
):
    simulator.refuses_system_turns = True
    model = claude()
    draft = await answer(model, told("mta"))
    assert draft.body.text
    first, second = simulator.asked()
    assert [message["role"] for message in first["messages"]] == [
        "user",
        "assistant",
        "user",
        "system",
    ]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert "The app says: turn 3" in second["messages"][-1]["content"][0]["text"]
    await answer(model, told("mtamt"))
    assert len(simulator.asked()) == 3, "it is not tried again"


async def test_an_older_model_goes_without_effort_and_system_turns(
    simulator: ClaudeSimulator, claude
):
    simulator.refuses_effort = True
    model = claude(model="claude-sonnet-4-6")
    assert (await answer(model, told("mta"))).body.text
    assert len(simulator.asked()) == 3
    assert "effort" not in simulator.asked()[-1]["output_config"]


async def test_other_refusals_are_not_tried_again(simulator: ClaudeSimulator, claude):
    with pytest.raises(Exception, match="chosen model"):
        await answer(claude(model="claude-none"))
    assert len(simulator.asked()) == 1


# --- the simulated model by itself -----------------------------------------------------------


async def test_the_simulated_model_diagnoses_to_the_end(simulator: ClaudeSimulator, claude):
    """Question, looks, a fix, its verification, the resolution: as a session would go."""
    import json

    model = claude()
    redactor = Redactor()
    turns: list[Turn] = []
    kinds = []
    for _ in range(8):
        consultation = Consultation("s", redactor.redact("The printer is broken"), tuple(turns))
        draft = await answer(model, consultation)
        kinds.append(draft.body.kind.value)
        if isinstance(draft.body, Resolution):
            break
        is_fix = isinstance(draft.body, Action) and "Restart" in draft.body.text
        result = {"verification": "Yes, it holds"}.get(kinds[-1], "Worked" if is_fix else "x")
        card = {"kind": kinds[-1], "text": draft.body.text}
        turns += [
            Turn(Speaker.MODEL, redactor.redact(json.dumps(card))),
            Turn(Speaker.TECHNICIAN, redactor.redact(f"Result: {result}")),
        ]
    assert kinds == ["question", "action", "action", "verification", "resolution"]


async def test_a_slow_answer_is_shown_while_it_comes(simulator: ClaudeSimulator, claude):
    simulator.script(Answer(chunk=20, pace=0.005, thinking="Let me think about that first."))
    model = claude()
    shown = 0
    stream = model.next_step(asked())
    async for _ in stream:
        shown += 1
    assert shown > 4
