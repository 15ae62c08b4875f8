"""What a long session costs with and without the prompt cache: `python -m tests.llm.cache_table`.

An eventful session of 25 questions (a ticket linked and read again, an offline gap, a pause, a
hand-off, screenshots) is played against the simulated API, seven minutes from question to question,
and metered by its cache.
"""

import argparse
import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from flowpilot_desktop.core.session import StepDraft, Usage
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.conversation import consultation
from flowpilot_desktop.llm.prices import cost_micros
from flowpilot_desktop.llm.registry import ModelSettings
from tests.llm.records import growing_pictures, growing_records
from tests.simulators.claude import KEY, ClaudeSimulator, running


@dataclass(frozen=True)
class Row:
    """One question: its usage and its cost in micro-dollars, with and without the cache."""

    question: int
    usage: Usage
    cost: int
    uncached_cost: int

    @property
    def prompt(self) -> int:
        """All tokens of the prompt."""
        return (
            self.usage.input_tokens + self.usage.cache_read_tokens + self.usage.cache_write_tokens
        )

    @property
    def read_share(self) -> float:
        """The part of the prompt that was read from the cache, 0..1."""
        return self.usage.cache_read_tokens / self.prompt


async def rows(simulator: ClaudeSimulator, questions: int, minutes: float) -> list[Row]:
    """Ask every question of the session, so many minutes apart."""
    model = registry.create(ModelSettings(base_url=simulator.url), KEY)
    found = []
    for number, record in enumerate(growing_records(questions), 1):
        told = consultation(record, pictures=growing_pictures(record))
        async with aclosing(model.next_step(told)) as stream:
            drafts = [piece async for piece in stream if isinstance(piece, StepDraft)]
        usage = drafts[-1].usage
        prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        plain = Usage(input_tokens=prompt, output_tokens=usage.output_tokens)
        found.append(
            Row(
                number,
                usage,
                cost_micros(registry.MODEL, usage),
                cost_micros(registry.MODEL, plain),
            )
        )
        simulator.advance(minutes=minutes)
    await model.aclose()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=25)
    parser.add_argument("--minutes", type=float, default=7.0, help="from question to question")
    arguments = parser.parse_args()
    with running() as simulator:
        table = asyncio.run(rows(simulator, arguments.questions, arguments.minutes))
    print(f"{'question':>8} {'prompt':>8} {'read':>8} {'written':>8} {'new':>6} {'read %':>7}"
          f" {'cost µ$':>8} {'uncached':>9}")  # fmt: skip
    for row in table:
        usage = row.usage
        print(
            f"{row.question:8} {row.prompt:8} {usage.cache_read_tokens:8}"
            f" {usage.cache_write_tokens:8} {usage.input_tokens:6} {row.read_share:7.1%}"
            f" {row.cost:8} {row.uncached_cost:9}"
        )
    later = table[2:]
    read = sum(row.usage.cache_read_tokens for row in later)
    print(
        f"From the third question on {read / sum(row.prompt for row in later):.1%} of the prompt"
        f" is read from the cache; the session costs ${sum(row.cost for row in table) / 1e6:.4f}"
        f" instead of ${sum(row.uncached_cost for row in table) / 1e6:.4f}."
    )


if __name__ == "__main__":
    main()
