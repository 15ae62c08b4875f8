"""What every language model behind the port keeps, whoever the vendor is.

A further provider adds a stage to `STAGES`: its adapter, pointed at a simulator of its service that
can be told what to answer.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any, Protocol

import pytest

from flowpilot_desktop.core.errors import ModelAnswerUnusable, ModelError, ModelUnavailable
from flowpilot_desktop.core.ports import (
    BriefingDraft,
    Consultation,
    Model,
    Picture,
    Speaker,
    StepProgress,
    Turn,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import (
    Action,
    HypothesisStatus,
    Question,
    Resolution,
    Risk,
    Source,
    StepDraft,
    Tier,
    Verification,
    tier,
)
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.registry import ModelSettings, Timeouts
from tests.simulators.claude import KEY, Answer, ClaudeSimulator, Hang, running
from tests.simulators.claude_answers import card


class Stage(Protocol):
    """A service that a test directs, and the adapter that speaks with it."""

    def model(self) -> Model:
        """Return an adapter with the right key."""
        ...

    def hurried(self) -> Model:
        """Return one that waits half a second for an answer."""
        ...

    def stranger(self) -> Model:
        """Return an adapter with a wrong key."""
        ...

    def answers(self, fields: dict[str, Any]) -> None:
        """Let the next answer be this card."""
        ...

    def babbles(self) -> None:
        """Let all answers from now on be no card."""
        ...

    def keeps_silent(self) -> None:
        """Let the next requests get no answer."""
        ...

    def leaves(self) -> None:
        """Refuse connections."""
        ...

    def prompts(self) -> list[str]:
        """Return all that was sent so far, each request as one text."""
        ...

    def drains(self) -> None:
        """Wait until no connection is open."""
        ...


class ClaudeStage:
    """Claude and the simulated Messages API."""

    def __init__(self, simulator: ClaudeSimulator) -> None:
        self._simulator = simulator
        self._settings = ModelSettings(base_url=simulator.url)

    def model(self) -> Model:
        return registry.create(self._settings, KEY)

    def hurried(self) -> Model:
        limits = Timeouts(whole=0.5, fast=0.5)
        return registry.create(replace(self._settings, timeouts=limits), KEY)

    def stranger(self) -> Model:
        return registry.create(self._settings, "wrong")

    def answers(self, fields: dict[str, Any]) -> None:
        self._simulator.script(Answer(json=card(**fields), chunk=8))

    def babbles(self) -> None:
        self._simulator.script(*[Answer(text="Let me tell you a story.")] * 4)

    def keeps_silent(self) -> None:
        self._simulator.script(*[Hang()] * 4)

    def leaves(self) -> None:
        self._simulator.away()

    def prompts(self) -> list[str]:
        return [str(body) for body in self._simulator.asked()]

    def drains(self) -> None:
        self._simulator.drain()


@contextmanager
def claude_stage() -> Iterator[Stage]:
    with running() as simulator:
        yield ClaudeStage(simulator)


STAGES = {"claude": claude_stage}


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with STAGES[request.param]() as stage:
        yield stage


@pytest.fixture
async def model(stage: Stage) -> AsyncIterator[Model]:
    model = stage.model()
    yield model
    await model.aclose()


def consultation(*turns: tuple[Speaker, str], **fields: Any) -> Consultation:
    redactor = Redactor()
    return Consultation(
        "session-1",
        redactor.redact("Nobody can print. The password is hunter2-Zebra."),
        tuple(Turn(speaker, redactor.redact(text)) for speaker, text in turns),
        step_ids=("first", "", "third"),
        **fields,
    )


async def asked(
    model: Model, question: Consultation | None = None
) -> tuple[list[StepProgress], StepDraft]:
    async with aclosing(model.next_step(question or consultation())) as stream:
        pieces = [piece async for piece in stream]
    *progress, draft = pieces
    assert isinstance(draft, StepDraft)
    shown = [piece for piece in progress if isinstance(piece, StepProgress)]
    assert len(shown) == len(progress), "the whole step comes once, and last"
    return shown, draft


async def test_a_step_is_shown_as_it_is_written(stage: Stage, model: Model):
    stage.answers({"text": "Look at the <device name> and read its display aloud to me."})
    progress, draft = await asked(model)
    assert progress, "something is shown before the end"
    assert progress[0].text != draft.body.text
    for earlier, later in itertools.pairwise(progress):
        assert later.text.startswith(earlier.text)
        assert later.why.startswith(earlier.why)
    assert draft.body.text.startswith(progress[-1].text)


async def test_a_step_says_where_it_comes_from_and_what_it_cost(model: Model):
    _, draft = await asked(model)
    assert draft.source is Source.CLAUDE
    assert draft.model
    assert draft.prompt_version
    assert draft.usage.output_tokens > 0
    usage = draft.usage
    assert usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens > 0


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (
            {"kind": "question", "options": [{"label": "Yes", "value": "y"},
                                             {"label": "No", "value": "n"}]},
            Question,
        ),
        ({"kind": "action", "expected_outcome": "It runs."}, Action),
        ({"kind": "verification", "expected_outcome": "It prints."}, Verification),
        ({"kind": "resolution", "action_taken": "New driver", "follow_ups": ["Watch"]}, Resolution),
    ],
)  # fmt: skip
async def test_every_kind_of_card(stage: Stage, model: Model, fields: dict[str, Any], kind: type):
    stage.answers(fields)
    _, draft = await asked(model)
    assert type(draft.body) is kind


async def test_no_label_of_a_risk_is_believed_that_is_too_low(stage: Stage, model: Model):
    command = {"text": "rm -rf /var/spool", "shell": "bash", "risk": "read_only", "undo": ""}
    stage.answers({"kind": "action", "command": command})
    _, draft = await asked(model)
    assert isinstance(draft.body, Action)
    assert draft.body.command is not None
    assert draft.body.command.risk is Risk.DESTRUCTIVE


async def test_evidence_is_recorded_steps_only_and_certainty_needs_it(stage: Stage, model: Model):
    hypotheses = [
        {"text": "A", "confidence": 0.9, "status": "supported", "evidence": [2, 7, 0, -1]},
        {"text": "B", "confidence": 0.2, "status": "ruled_out", "evidence": [3, 1, 3]},
    ]
    stage.answers({"confidence": 0.99, "hypotheses": hypotheses})
    _, draft = await asked(model)
    first, second = draft.hypotheses
    assert (first.status, first.evidence) == (HypothesisStatus.OPEN, ())
    assert second.evidence == ("third", "first")
    assert tier(draft.confidence) is Tier.EXPLORING
    hypotheses[0]["evidence"] = [1]
    stage.answers({"confidence": 0.99, "hypotheses": hypotheses})
    _, draft = await asked(model)
    assert tier(draft.confidence) is Tier.GUIDED


async def test_a_person_can_be_asked_for(stage: Stage, model: Model):
    stage.answers({"needs_person": True})
    _, draft = await asked(model)
    assert draft.needs_person


async def test_what_is_told_arrives_and_secrets_do_not(stage: Stage, model: Model):
    turns = [
        (Speaker.APP, "A colleague took over."),
        (Speaker.MODEL, '{"kind": "action", "text": "Look."}'),
        (Speaker.TECHNICIAN, "It shows error seventeen."),
    ]
    await asked(model, consultation(*turns, pictures=(Picture("image/png", b"\x89PNG"),)))
    sent = stage.prompts()[-1]
    for text in ("Nobody can print", "A colleague took over", "error seventeen", "iVBORw"[:4]):
        assert text in sent
    assert "hunter2" not in sent


async def test_the_last_card_is_asked_for_in_words(stage: Stage, model: Model):
    await asked(model)
    await asked(model, consultation(must_conclude=True))
    before, after = stage.prompts()[-2:]
    assert len(after) > len(before)


async def test_a_briefing_is_one_call(stage: Stage, model: Model):
    draft = await model.briefing(consultation((Speaker.TECHNICIAN, "All that is known.")))
    assert isinstance(draft, BriefingDraft)
    assert draft.hypotheses
    assert draft.next_steps
    assert draft.model
    assert len(stage.prompts()) == 1


async def test_the_models_prove_the_key(stage: Stage, model: Model):
    found = await model.models()
    assert all(item.id and item.name for item in found)
    assert len({item.id for item in found}) == len(found) > 1
    stranger = stage.stranger()
    with pytest.raises(ModelUnavailable) as caught:
        await stranger.models()
    assert caught.value.reason == "sign_in"
    await stranger.aclose()


async def test_babble_is_unusable(stage: Stage, model: Model):
    stage.babbles()
    with pytest.raises(ModelAnswerUnusable) as caught:
        await asked(model)
    assert caught.value.reason == "malformed"


async def test_silence_ends(stage: Stage):
    stage.keeps_silent()
    model = stage.hurried()
    async with asyncio.timeout(30):
        for verb in (asked(model), model.briefing(consultation())):
            with pytest.raises(ModelUnavailable) as caught:
                await verb
            assert caught.value.reason == "timeout"
    await model.aclose()


async def test_away_is_told_as_such_by_every_verb(stage: Stage, model: Model):
    stage.leaves()
    for verb in (asked(model), model.briefing(consultation()), model.models()):
        with pytest.raises(ModelUnavailable) as caught:
            await verb
        assert caught.value.reason == "unreachable"


async def test_two_sessions_ask_at_the_same_time(stage: Stage, model: Model):
    results = await asyncio.gather(*(asked(model) for _ in range(4)))
    assert len(results) == 4
    assert len(stage.prompts()) == 4


async def test_closing_lets_go_of_connections(stage: Stage):
    model = stage.model()
    await asked(model)
    await model.aclose()
    await model.aclose()
    stage.drains()
    with pytest.raises(ModelError):
        await asked(model)
