"""A simulated Messages API and the adapter that is pointed at it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from flowpilot_desktop.core.ports import Consultation, Model, Speaker, StepProgress, Turn
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import StepDraft
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.registry import ModelSettings, Timeouts
from tests.simulators.claude import KEY, ClaudeSimulator, running

PATIENT = Timeouts(connect=20.0, stall=20.0, whole=60.0, fast=60.0)
"""Limits that no busy machine reaches; a test of a limit sets its own."""


@pytest.fixture
def simulator() -> Iterator[ClaudeSimulator]:
    """A fresh simulator."""
    with running() as simulator:
        yield simulator


@pytest.fixture
async def claude(simulator: ClaudeSimulator) -> AsyncIterator[Callable[..., Model]]:
    """A maker of adapters; settings are given by keyword, and all are closed in the end."""
    made: list[Model] = []

    def make(key: str = KEY, **settings: object) -> Model:
        chosen = replace(
            ModelSettings(base_url=simulator.url, timeouts=PATIENT),
            **settings,  # type: ignore[arg-type]  # each test knows its settings
        )
        made.append(registry.create(chosen, key))
        return made[-1]

    yield make
    for model in made:
        await model.aclose()


def asked(*words: str, must_conclude: bool = False) -> Consultation:
    """A consultation: the opening, then the technician's words."""
    redactor = Redactor()
    opening, *rest = words or ("Nobody on the second floor can print.",)
    return Consultation(
        session_id="00000000-0000-4000-8000-000000000001",
        opening=redactor.redact(opening),
        turns=tuple(Turn(Speaker.TECHNICIAN, redactor.redact(text)) for text in rest),
        must_conclude=must_conclude,
        step_ids=("step-1", "step-2", "step-3"),
    )


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the other thread has no event of this loop
            await asyncio.sleep(0.001)


async def answer(model: Model, consultation: Consultation | None = None) -> StepDraft:
    """The whole step that a model proposes."""
    return (await everything(model, consultation))[1]


async def everything(
    model: Model, consultation: Consultation | None = None
) -> tuple[list[StepProgress], StepDraft]:
    """All progress, and the whole step, which must come last and once."""
    pieces: list[StepProgress | StepDraft] = []
    async with aclosing(model.next_step(consultation or asked())) as stream:
        pieces.extend([piece async for piece in stream])
    *progress, last = pieces
    assert isinstance(last, StepDraft)
    shown = [piece for piece in progress if isinstance(piece, StepProgress)]
    assert len(shown) == len(progress)
    return shown, last
