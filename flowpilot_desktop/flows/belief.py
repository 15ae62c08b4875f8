"""How sure the answers make us of each cause.

Every cause begins with its weight, and so does "something this flow does not know". Each answer
multiplies a cause's odds by its factor; shares of the whole are the confidences. Ruling one cause
out therefore lifts the others, but elimination alone never makes a session *guided*: for that an
answer must have spoken for the cause (``SUPPORT_NEEDED`` caps what is only left over).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowpilot_desktop.core.session import Hypothesis, HypothesisStatus
from flowpilot_desktop.flows.model import Evidence, Flow

UNKNOWN_SHARE: Final = 0.12
"""The weight of "something else", as a share of all the causes' weights."""

SUPPORT_NEEDED: Final = 0.79
NOTHING_KNOWN: Final = 0.35
_LIKELY: Final = 0.4
_UNLIKELY: Final = 0.05


@dataclass(frozen=True, slots=True)
class Statement:
    """What the answer to one step says about a cause."""

    step_id: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Belief:
    """The causes, the most likely first, and the confidence in the first of them."""

    confidence: float
    hypotheses: tuple[Hypothesis, ...]
    shares: dict[str, float]

    def is_ruled_out(self, flow: Flow, cause: str) -> bool:
        """Return whether the answers leave a cause no chance."""
        text = flow.causes[cause].text if cause in flow.causes else ""
        return any(
            hypothesis.text == text and hypothesis.status is HypothesisStatus.RULED_OUT
            for hypothesis in self.hypotheses
        )


def weigh(flow: Flow, statements: Sequence[Statement]) -> Belief:
    """Return what a flow's causes are worth after these statements."""
    weights = {cause.id: cause.weight for cause in flow.causes.values()}
    unknown = UNKNOWN_SHARE * sum(weights.values())
    for statement in statements:
        if statement.evidence.cause in weights:
            weights[statement.evidence.cause] *= statement.evidence.factor
    whole = sum(weights.values()) + unknown
    shares = {cause: weight / whole for cause, weight in weights.items()}
    hypotheses = [
        _hypothesis(
            flow.causes[cause].text, share, [s for s in statements if s.evidence.cause == cause]
        )
        for cause, share in shares.items()
    ]
    hypotheses.sort(key=lambda h: (h.status is HypothesisStatus.RULED_OUT, -h.confidence))
    top = hypotheses[0] if hypotheses else None
    confidence = 0.0
    if top is not None and top.status is not HypothesisStatus.RULED_OUT:
        confidence = top.confidence
    if not statements:
        confidence = min(confidence, NOTHING_KNOWN)
    return Belief(confidence, tuple(hypotheses), shares)


def _hypothesis(text: str, share: float, statements: list[Statement]) -> Hypothesis:
    supporting = [s.step_id for s in statements if s.evidence.factor > 1]
    excluding = [s.step_id for s in statements if s.evidence.rules_out]
    if excluding and share < _UNLIKELY:
        return Hypothesis(text, _rounded(share), HypothesisStatus.RULED_OUT, _once(excluding))
    if supporting and share >= _LIKELY:
        return Hypothesis(text, _rounded(share), HypothesisStatus.SUPPORTED, _once(supporting))
    capped = share if supporting else min(share, SUPPORT_NEEDED)
    return Hypothesis(
        text, _rounded(capped), HypothesisStatus.OPEN, _once([s.step_id for s in statements])
    )


def _rounded(share: float) -> float:
    return round(share, 3)


def _once(ids: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))
