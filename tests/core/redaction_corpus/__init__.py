"""Lines that technicians paste, with and without secrets, and how well the redactor tells them.

The detectors may be tuned on the *development* part; the *held-out* part was written before the
tuning and is only ever measured. The two *blind* parts hold awkward wordings that were committed
before anybody measured them, and each time the rules were widened afterwards: at first sight recall
and precision were 0.784 and 0.975, then 0.881 and 0.957. Each part has a file of secrets, which
says in every line what must vanish, and a file of near misses, which must come out as they went in.

``python -m tests.core.redaction_corpus`` prints recall and precision with a table by kind.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flowpilot_desktop.core.redaction import Redactor

PARTS = ("development", "held_out", "blind", "second_blind")
RECALL = {"development": 0.99, "held_out": 0.99, "blind": 0.95, "second_blind": 0.95}
"""What at least is recognised of a part, so that no change of the rules loses it again."""
_HERE = Path(__file__).parent
_SECRET = re.compile("⟦([^⟧]+)⟧")


@dataclass(frozen=True, slots=True)
class Sample:
    """One text and the secrets in it; none in a near miss."""

    kind: str
    text: str
    secrets: tuple[str, ...]
    kept: str = ""
    """What is left of the text when every secret is taken out."""


@dataclass(slots=True)
class Score:
    """What came of redacting a part."""

    samples: Counter[str] = field(default_factory=Counter)
    leaked: list[Sample] = field(default_factory=list)
    near_misses: Counter[str] = field(default_factory=Counter)
    changed: list[tuple[Sample, str]] = field(default_factory=list)
    overmasked: list[tuple[Sample, str]] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The share of texts with secrets of which nothing secret is left."""
        total = self.samples.total()
        return (total - len(self.leaked)) / total

    @property
    def precision(self) -> float:
        """Of the texts in which something was masked, the share that held a secret."""
        right = self.samples.total() - len(self.leaked)
        return right / (right + len(self.changed))


def samples(part: str, side: str) -> list[Sample]:
    """Read one file: `side` is "secrets" or "near_misses"."""
    lines = (_HERE / f"{part}_{side}.txt").read_text(encoding="utf-8").split("\n")
    read = []
    for line in lines:
        if not line or line.startswith("# "):
            continue
        kind, _, text = line.partition(" | ")
        text = text.replace("¦", "").replace("⏎", "\n").replace("⇥", "\t")
        plain = text.replace("⟦", "").replace("⟧", "")
        # What stands as \n inside quotes is two characters, as in JSON; a secret ends there.
        secrets = [
            piece for secret in _SECRET.findall(text) for piece in re.split(r"\\n|\n", secret)
        ]
        read.append(Sample(kind, plain, tuple(secrets), _SECRET.sub("", text)))
    return read


def scored(part: str) -> Score:
    """Redact every text of a part with a redactor of its own."""
    score = Score()
    for sample in samples(part, "secrets"):
        score.samples[sample.kind] += 1
        text = Redactor().redact(sample.text).text
        if any(secret in text for secret in sample.secrets):
            score.leaked.append(sample)
        elif missing := _missing_words(sample.kept, text):
            score.overmasked.append((sample, missing))
    for sample in samples(part, "near_misses"):
        score.near_misses[sample.kind] += 1
        text = Redactor().redact(sample.text).text
        if text != sample.text:
            score.changed.append((sample, text))
    return score


def _missing_words(kept: str, text: str) -> str:
    """Return words of the harmless rest that were masked along with the secret."""
    there = Counter(re.findall(r"\w+", text))
    gone = Counter(re.findall(r"\w+", kept)) - there
    return " ".join(gone)


def table(scores: dict[str, Score]) -> Iterable[str]:
    """Yield the lines of a report."""
    yield f"{'part':12} {'kind':24} {'texts':>6} {'wrong':>6}"
    for part, score in scores.items():
        leaked = Counter(sample.kind for sample in score.leaked)
        changed = Counter(sample.kind for sample, _ in score.changed)
        for kind, count in sorted(score.samples.items()):
            yield f"{part:12} {kind:24} {count:6} {leaked[kind]:6}"
        for kind, count in sorted(score.near_misses.items()):
            yield f"{part:12} {'(near miss) ' + kind:24} {count:6} {changed[kind]:6}"
    for part, score in scores.items():
        yield (
            f"{part}: {score.samples.total()} with secrets, {score.near_misses.total()} near"
            f" misses: recall {score.recall:.4f}, precision {score.precision:.4f}"
        )
