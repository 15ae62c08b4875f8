"""The slowest import of the app waits until a session needs it, and never blocks a screen."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.registry import ModelSettings
from tests.llm.conftest import answer
from tests.simulators.claude import KEY, ClaudeSimulator

ROOT = Path(__file__).resolve().parents[2]


def printed(program: str) -> str:
    """What a fresh interpreter prints."""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def test_nothing_heavy_is_imported_before_the_first_question():
    program = """
import sys
from flowpilot_desktop.llm import commands, conversation, prices, prompts, registry
model = registry.create(registry.ModelSettings(), "key")
heavy = {"anthropic", "pydantic", "httpx2", "httpx", "jiter", "truststore"}
print(sorted(heavy & set(sys.modules)))
"""
    assert printed(program) == "[]"


def test_warming_up_loads_all_that_a_question_needs():
    program = """
import sys
from flowpilot_desktop.llm import registry
thread = registry.warm_up()
assert thread.daemon
thread.join()
before = set(sys.modules)
import asyncio
from flowpilot_desktop.llm.claude import adapter
async def first():
    model = registry.create(registry.ModelSettings(), "key")
    client = await model._ready()
    client.messages
    await model.aclose()
asyncio.run(first())
late = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(late & {"anthropic", "pydantic", "httpx2", "jiter", "truststore"} - {"truststore"}))
"""
    assert printed(program) in ("[]", "['anthropic']")


def test_the_loop_goes_on_while_the_library_loads():
    program = """
import asyncio, sys, time
from flowpilot_desktop.llm.claude import adapter
async def main():
    worst, last = 0.0, time.perf_counter()
    began = last
    loading = asyncio.ensure_future(adapter._loaded())
    ticks = 0
    while not loading.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
        ticks += 1
    print(ticks > 5 and worst < 0.7 * (last - began))
asyncio.run(main())
"""
    assert printed(program) == "True"


def test_a_provider_that_nobody_knows():
    with pytest.raises(InvalidInput):
        registry.create(ModelSettings(), "key", "abacus")


@pytest.mark.parametrize("provider", sorted(registry.PROVIDERS))
def test_every_provider_can_be_made_and_closed(provider: str):
    model = registry.create(ModelSettings(), "key", provider)
    asyncio.run(model.aclose())


async def test_asking_works_on_the_qt_loop(qapp, simulator: ClaudeSimulator):
    """Under qasync: streaming, time-outs and cancelling, and no thread stays behind."""
    from dataclasses import replace

    import qasync

    from flowpilot_desktop.core.errors import ModelUnavailable
    from tests.llm.conftest import PATIENT, asked, until
    from tests.simulators.claude import Answer, Hang

    assert isinstance(asyncio.get_running_loop(), qasync.QEventLoop)
    settings = ModelSettings(base_url=simulator.url, timeouts=PATIENT)
    hurried = registry.create(replace(settings, timeouts=replace(PATIENT, whole=0.5)), KEY)
    model = registry.create(settings, KEY)
    simulator.script(Answer(chunk=4), *[Hang()] * 3)
    assert (await answer(model)).body.text
    with pytest.raises(ModelUnavailable) as caught:
        await answer(hurried)
    assert caught.value.reason == "timeout"
    simulator._script.clear()
    task = asyncio.ensure_future(answer(model))
    await until(lambda: not task.done())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await model.models()
    assert (await model.briefing(asked())).next_steps
    await model.aclose()
    await hurried.aclose()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if "AnyIO" in name or "asyncio_" in name]
