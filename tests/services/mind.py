"""A desk whose Claude is the simulated Messages API, over real HTTP and the real adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.registry import ModelSettings, Timeouts
from flowpilot_desktop.services.model_access import ModelRules
from tests.clock import VirtualClock
from tests.services.desk import Desk, open_desk
from tests.simulators.claude import KEY, ClaudeSimulator

PATIENT = Timeouts(connect=20.0, stall=20.0, whole=60.0, fast=60.0)
PROBLEM = "Nobody on the second floor can print since this morning"


@asynccontextmanager
async def open_desk_with_claude(
    folder: Path,
    simulator: ClaudeSimulator,
    *,
    timeouts: Timeouts = PATIENT,
    rules: ModelRules | None = None,
    clock: VirtualClock | None = None,
    key: str = KEY,
) -> AsyncIterator[Desk]:
    """Open a desk whose model speaks with the simulator."""
    model = registry.create(ModelSettings(base_url=simulator.url, timeouts=timeouts), key)
    no_pause = ModelRules(pauses_after_failure=False)
    async with open_desk(
        folder, model=model, model_rules=rules or no_pause, connected=False, clock=clock
    ) as desk:
        yield desk


async def begun(desk: Desk, text: str = PROBLEM) -> str:
    """Start a session from words; return its id."""
    return (await desk.engine.start_session(Intake(text))).session.id
