"""What streaming costs this computer: `python -m tests.llm.stream_cost`.

One long answer is streamed from the simulated API in events of different sizes. The first word is
timed from the request, on a loaded library and an open connection; the processor time is that of
the whole process, the simulator's included, so the floor is the same stream read without the SDK.
"""

import asyncio
import http.client
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import urlsplit

from flowpilot_desktop.core.ports import Consultation, StepProgress
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.registry import ModelSettings
from tests.simulators.claude import KEY, Answer, ClaudeSimulator, event_count, running
from tests.simulators.claude_answers import card

LONG = card(text="Look at it. " * 150, why="It separates the causes. " * 40, follow_ups=["x" * 90])
REPEATS = 5


@dataclass(frozen=True)
class Cost:
    """Of one answer: events, seconds to the first word, seconds of the processor."""

    events: int
    first_word: float
    processor: float
    floor: float
    shown: int


def _answer(size: int) -> Answer:
    return Answer(json=LONG, chunk=size)


async def measured(simulator: ClaudeSimulator, size: int) -> Cost:
    """Stream the answer in events of `size` characters and return the best of some runs."""
    model = registry.create(ModelSettings(base_url=simulator.url), KEY)
    consultation = Consultation("s", Redactor().redact("It is broken."))
    firsts, processors, shown = [], [], 0
    for _ in range(REPEATS + 1):
        simulator.script(_answer(size))
        began, used, first, shown = time.perf_counter(), time.process_time(), 0.0, 0
        async with aclosing(model.next_step(consultation)) as stream:
            async for piece in stream:
                shown += 1
                if not first and isinstance(piece, StepProgress) and piece.text:
                    first = time.perf_counter() - began
        firsts.append(first)
        processors.append(time.process_time() - used)
    await model.aclose()
    floors = [await asyncio.to_thread(_floor, simulator, size) for _ in range(REPEATS)]
    events = event_count(_answer(size))
    # The first run opens the connection, and on a cold start loads the library.
    return Cost(events, min(firsts[1:]), min(processors[1:]), min(floors), shown)


def _floor(simulator: ClaudeSimulator, size: int) -> float:
    simulator.script(_answer(size))
    used = time.process_time()
    connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc)
    body = {"model": registry.MODEL, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    connection.request("POST", "/v1/messages", json.dumps(body), {"x-api-key": KEY})
    connection.getresponse().read()
    connection.close()
    return time.process_time() - used


def main() -> None:
    """Print the table."""
    with running() as simulator:
        print(f"{'letters':>7} {'events':>7} {'shown':>6} {'first word':>11} {'processor':>10}"
              f" {'floor':>8} {'per event':>10}")  # fmt: skip
        for size in (1, 4, 16, 64, 4096):
            cost = asyncio.run(measured(simulator, size))
            per_event = (cost.processor - cost.floor) / cost.events
            print(
                f"{size:7} {cost.events:7} {cost.shown:6} {cost.first_word * 1e3:8.1f} ms"
                f" {cost.processor * 1e3:7.0f} ms {cost.floor * 1e3:5.0f} ms"
                f" {per_event * 1e6:7.0f} µs"
            )


if __name__ == "__main__":
    main()
