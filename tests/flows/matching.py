"""How well intakes find their flow: `python -m tests.flows.matching` prints the table.

The corpus is files of texts as customers and technicians write them, a third of which speak of no
flow. Those of `LEARNED_FROM` may be looked at: words are chosen and the classifier is trained on
them (`tests.flows.training`), so they no longer prove anything. `PROOF` was written and committed
before it was measured, and nothing is chosen on it. What each corpus found on first contact, before
anything had been chosen or trained on it, stands in `FIRST_CONTACT`: the first was read with lists
of words grown text by text, the second with words brought to common meanings (it is the hardest,
nearly every text is a rare case in rare words), the third with the classifier beside them. Left out
of the training (whose short practice texts were written after it), the second finds 0.83 at 0.035;
five-fold over all that is learned from, with its many texts of two or three words, it is 0.905 at
0.059 (`tests.flows.training --cross`). `--mistakes` lists what the proof does not find.
"""

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from flowpilot_desktop.flows.library import FlowLibrary

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "resources" / "flows"
LEARNED_FROM = ("practice", "development", "held_out", "fresh", "blind_1", "blind_2")
PROOF = "blind_3"
PARTS = (*LEARNED_FROM, PROOF)
FIRST_CONTACT = {"blind_1": (0.744, 0.050), "blind_2": (0.731, 0.174), "blind_3": (0.981, 0.024)}
"""Top-1 and false matches when a corpus was measured for the first time."""

BY_LINE = ("practice",)
NONE = "none"


@dataclass(frozen=True)
class Sample:
    flow: str
    text: str


@dataclass
class Measure:
    """What was found for one part of the corpus."""

    part: str
    right: int = 0
    missed: int = 0
    wrong: int = 0
    quiet: int = 0
    false: int = 0
    seconds: list[float] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def positives(self) -> int:
        return self.right + self.missed + self.wrong

    @property
    def negatives(self) -> int:
        return self.quiet + self.false

    @property
    def top_1(self) -> float:
        """Share of the texts with a flow that found it."""
        return self.right / max(self.positives, 1)

    @property
    def false_rate(self) -> float:
        """Share of the texts without a flow that found one nevertheless."""
        return self.false / max(self.negatives, 1)

    @property
    def p95(self) -> float:
        """Milliseconds of processor time that 19 of 20 texts stay below."""
        return statistics.quantiles(self.seconds, n=20)[-1] * 1000


def samples(part: str) -> list[Sample]:
    text = (HERE / "corpus" / f"{part}.txt").read_text(encoding="utf-8")
    blocks = [block.partition("\n") for block in text.split("=== ")[1:]]
    if part in BY_LINE:
        return [
            Sample(flow.strip(), line.strip())
            for flow, _, lines in blocks
            for line in lines.splitlines()
            if line.strip()
        ]
    return [Sample(flow.strip(), body.strip()) for flow, _, body in blocks]


def measure(library: FlowLibrary, part: str) -> Measure:
    measured = Measure(part)
    library.match("warm up")
    for sample in samples(part):
        started = time.thread_time()
        match = library.match(sample.text)
        measured.seconds.append(time.thread_time() - started)
        found = match.flow.id if match else NONE
        if sample.flow == NONE:
            measured.quiet += found == NONE
            measured.false += found != NONE
        else:
            measured.right += found == sample.flow
            measured.missed += found == NONE
            measured.wrong += found not in (NONE, sample.flow)
        if found != sample.flow:
            score = f" {match.score:.1f}" if match else ""
            line = " ".join(sample.text.split())[:90]
            measured.mistakes.append(f"{sample.flow:24} → {found:24}{score:5}  {line}")
    return measured


def table(measures: list[Measure]) -> str:
    heads = ("texts", "top-1", "missed", "wrong", "false", "p95 ms", "at first contact")
    lines = [f"{'part':12}" + "".join(f" {head:>7}" for head in heads)]
    lines += [
        f"{m.part:12} {m.positives + m.negatives:7d} {m.top_1:7.3f} {m.missed:7d} {m.wrong:7d} "
        f"{m.false_rate:7.3f} {m.p95:7.2f}{_first(m.part)}"
        for m in measures
    ]
    return "\n".join(lines)


def _first(part: str) -> str:
    first = FIRST_CONTACT.get(part)
    return f"  {first[0]:.3f} {first[1]:.3f}" if first else ""


def main() -> None:
    library = FlowLibrary.load(SHIPPED)
    measures = [measure(library, part) for part in PARTS]
    print(table(measures))
    if "--mistakes" in sys.argv:
        print(*measures[-1].mistakes, sep="\n")


if __name__ == "__main__":
    main()
