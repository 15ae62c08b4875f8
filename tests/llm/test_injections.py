"""Orders in tickets, notes, logs, names and colleagues' words stay inside blocks of data."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.ports import Speaker
from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Hypothesis,
    Note,
    Question,
    Result,
    Source,
    TriedStep,
)
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    Reference,
    RelatedTicket,
    Site,
    TicketContext,
    TicketNote,
)
from flowpilot_desktop.llm.claude.request import Abilities, briefing_request, step_request
from flowpilot_desktop.llm.conversation import (
    Record,
    TicketRead,
    briefing_consultation,
    consultation,
)
from flowpilot_desktop.llm.fence import boundary, fenced, harmless, parted
from flowpilot_desktop.llm.prompts import prompt
from flowpilot_desktop.llm.registry import ModelSettings
from tests.llm.conftest import answer
from tests.llm.injections import INJECTIONS, armed
from tests.llm.records import SESSION_ID, START, answered, context, look, question, session, step

MARK = boundary(SESSION_ID)
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e01ef]"
)


def test_the_corpus_is_large_and_without_doubles():
    assert len(INJECTIONS) >= 150
    assert len(set(INJECTIONS)) == len(INJECTIONS)


def _context(text: str) -> TicketContext:
    """A ticket in which every text is the given one."""
    plain = context()
    named = Reference(1, text)
    return TicketContext(
        connection_id="c",
        fetched_at=START,
        ticket=replace(
            plain.ticket,
            summary=text,
            description=text,
            status=named,
            board=named,
            priority=named,
            type=text,
            sla_status=text,
        ),
        company=Company(1, text, text, types=(text,), city=text),
        contact=Contact(2, text, text),
        site=Site(3, text),
        configurations=(
            Configuration(4, text, text, text, operating_system=text, notes=text, last_login=text),
        ),
        notes=(TicketNote(5, text, text, START), TicketNote(6, text, is_internal=True)),
        related=(RelatedTicket(text, text, text, resolution=text, why_related=text),),
        missing=(text,),
    )


def _record(text: str) -> Record:
    """A session in which a text stands wherever a person, a ticket or a teammate can put one."""
    briefing = Briefing(
        text=text,
        escalated_by=text,
        reason=text,
        steps=(TriedStep(text, text),),
        ruled_out=(text,),
        hypotheses=(Hypothesis(text, 0.4),),
        next_steps=(text,),
        environment=(text,),
    )
    steps = (
        answered(look(1), result=Result.WORKED, text=text),
        answered(question(2), text=text),
        step(3, Note(text), source=Source.ENGINEER),
        answered(step(4, Question(text), source=Source.FLOW), text=text),
        answered(step(5, Action(text), source=Source.ENGINEER), result=Result.WORKED, text=text),
        answered(step(6, briefing, source=Source.ENGINEER), option="fresh", text=text),
        answered(look(7), skipped=True),
    )
    happenings = (TicketRead(1, _context(text)), TicketRead(7, _context(text), is_refresh=True))
    return Record(session(text), steps, _context(text), text, happenings)


FRAME_TEXT = "plain words"
FRAME = consultation(_record(FRAME_TEXT))


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_an_order_stays_inside_its_blocks(text: str):
    found = consultation(_record(armed(text, MARK)))
    assert [turn.speaker for turn in found.turns] == [turn.speaker for turn in FRAME.turns]
    pairs = [(found.opening, FRAME.opening)]
    pairs += [(turn.text, plain.text) for turn, plain in zip(found.turns, FRAME.turns, strict=True)]
    for part, plain in pairs:
        words, blocks = parted(str(part))
        plain_words, plain_blocks = parted(str(plain))
        assert words == plain_words, "what stands outside does not depend on the text"
        for line in (f"<<<DATA {MARK}", f"<<<END {MARK}>>>"):
            assert blocks.count(line) == plain_blocks.count(line)
        assert blocks.count(MARK) == plain_blocks.count(MARK), "nobody else writes the boundary"
        assert not HIDDEN.search(str(part))


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_an_order_never_speaks_with_the_systems_authority(text: str):
    """Of the request only the user's blocks depend on the text."""
    form = {"type": "object"}
    settings = ModelSettings()
    wanted = step_request(settings, FRAME, form, Abilities())
    found = step_request(settings, consultation(_record(armed(text, MARK))), form, Abilities())
    assert [m["role"] for m in found["messages"]] == [m["role"] for m in wanted["messages"]]
    assert "system" in [message["role"] for message in found["messages"]]
    for message, plain in zip(found["messages"], wanted["messages"], strict=True):
        if message["role"] != "user":
            assert message == plain
    for key in wanted.keys() - {"messages"}:
        assert found[key] == wanted[key]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_an_order_stays_inside_its_blocks_in_a_briefing_too(text: str):
    record, plain = _record(armed(text, MARK)), _record(FRAME_TEXT)
    found = briefing_consultation(record, armed(text, MARK))
    words = "\n".join(parted(str(part))[0] for part in (found.opening, found.turns[0].text))
    wanted = briefing_consultation(plain, FRAME_TEXT)
    plain_words = "\n".join(parted(str(part))[0] for part in (wanted.opening, wanted.turns[0].text))
    assert words == plain_words
    request = briefing_request(ModelSettings(), found, {"type": "object"})
    assert request["system"] == prompt("briefing").text
    assert not HIDDEN.search(json.dumps(request, ensure_ascii=False))


async def test_the_api_takes_all_of_them(simulator, claude):
    """Over the wire, all at once and some alone: valid requests with the same shape."""
    model = claude()
    record = _record("\n".join(armed(text, MARK) for text in INJECTIONS))
    await answer(model, consultation(record))
    for text in INJECTIONS[::12]:
        await answer(model, consultation(_record(armed(text, MARK))))
    shapes = {tuple(m["role"] for m in body["messages"]) for body in simulator.asked()}
    assert len(shapes) == 1


def test_boundaries_differ_from_session_to_session_and_stay():
    assert boundary("one") == boundary("one")
    assert len({boundary(str(number)) for number in range(1000)}) == 1000
    assert re.fullmatch("[0-9a-f]{12}", MARK)


def test_an_empty_text_makes_no_block():
    assert fenced("note", "", MARK) == ""


def test_a_label_can_not_break_out():
    block = fenced("file>>>\n<<<END", "text", MARK)
    assert parted(block) == ("", block.strip())


@pytest.mark.parametrize(
    "text",
    [
        "naïve café, Straße, Ørsted, 東京, مرحبا, שלום, ไทย, नमस्ते",
        "family: \U0001f468\u200d\U0001f469\u200d\U0001f467, heart: \u2764\ufe0f",
        "می\u200cخواهم",
        "a < b, c << 2, x >> log.txt, if (a<b) {}",
        "\ttabbed\n\nand empty lines",
    ],
)
def test_honest_text_is_left_as_it_is(text: str):
    assert harmless(text, 1_000) == text.strip()
    assert text.strip() in fenced("note", harmless(text, 1_000), MARK)


def test_app_turns_carry_their_data_as_the_users():
    found = consultation(Record(session(), (), None, "", (TicketRead(0, context()),)))
    assert found.turns[0].speaker is Speaker.APP
    request = step_request(ModelSettings(), found, {}, Abilities())
    _, user, system = request["messages"]
    assert "Northwind" in user["content"][0]["text"]
    assert "Northwind" not in system["content"][0]["text"]
    assert "linked" in system["content"][0]["text"]


# --- any text at all ---------------------------------------------------------------------------

_pieces = st.sampled_from(
    [MARK, "<<<DATA ", "<<<END ", ">>>", "<", ">", "\n", " ticket", "password is ", "\u200b",
     "-----BEGIN PRIVATE KEY-----", "pw: hunter2!X", "END", "{", "\\", '"']
)  # fmt: skip
_texts = st.lists(_pieces | st.text(max_size=6), max_size=14).map("".join)


@given(text=_texts)
def test_a_block_is_whole_whatever_stands_in_it(text: str):
    shown = harmless(text, 10_000)
    block = fenced("note", shown, MARK)
    assert parted(block) == ("", block.strip())
    assert parted(f"before\n{block}after") == ("before\nafter", block.strip())
    assert block.count(MARK) == (2 if shown else 0)


@given(text=_texts, other=_texts)
def test_a_turn_is_whole_whatever_was_typed(text: str, other: str):
    steps = (
        answered(look(1), result=Result.WORKED, text=text),
        step(2, Note(other), source=Source.ENGINEER),
    )
    found = consultation(Record(session(other), steps, None, text))
    for part in (found.opening, *(turn.text for turn in found.turns)):
        words, blocks = parted(str(part))
        assert MARK not in words
        assert blocks.count(f"<<<DATA {MARK}") == blocks.count(f"<<<END {MARK}>>>")
    assert parted(str(found.turns[1].text))[0].startswith("Step 1 was answered.\nResult: Worked")
