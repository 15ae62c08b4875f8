"""Finding the flow that an intake speaks of.

A few dozen flows need no database: every word and phrase of a flow is weighed by how few flows
share it, and an intake scores by what it has in common with a flow. Full-text engines know neither
typing errors nor the difference between a wish and a fault; here a word that no flow knows counts
as its nearest neighbour (one or two letters off), and ``intake`` says what the text is worth. What
is said first counts most: the summary comes before the story. A text much like one of a flow's
``not_matches`` loses most of its score for that flow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flowpilot_desktop.flows.intake import STOP_STEMS, stems, telling_text, weight_of
from flowpilot_desktop.flows.model import GENERAL_ID, Flow

MINIMUM_SCORE: Final = 4.8
"""Below this too little speaks for a flow; chosen on tests/flows/corpus/development.txt."""

_TOPIC: Final = 4.5
_KEYWORD: Final = 2.0
_TITLE: Final = 2.0
_IN_PHRASE: Final = 1.0
_IN_SAMPLE: Final = 0.6
"""What a word is worth by where the flow has it."""

_PHRASES: Final = (1.2, 2.4, 3.0, 3.6)
"""What a phrase of one, two, three, four and more words adds to its words."""

_OPENING: Final = 10
_STORY: Final = 40
_LATE: Final = 0.35
"""Telling words that count in full, those over which the weight falls, and what it falls to."""

_BRIEF: Final = 0.5
"""What a complaint gains for saying little, at most: a summary has no room for a second keyword."""

_LIKE_A_STRANGER: Final = 0.75
_STRANGER: Final = 0.45
"""Share of a ``not_matches`` sample that must be heard, and what is then left of the score."""

_SHORT: Final = 5
_LONG: Final = 8
_PREFIX: Final = 6
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class FlowMatch:
    """A flow that an intake may be about, and how much speaks for it."""

    flow: Flow
    score: float


class Matcher:
    """The flows, weighed once, ready for any number of intakes."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._flows = [flow for flow in flows if flow.id != GENERAL_ID]
        self._weights: dict[str, dict[int, float]] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        self._strangers = [
            [telling for sample in flow.not_matches if len(telling := _telling(sample)) > 1]
            for flow in self._flows
        ]
        self._by_shape: dict[tuple[str, int], list[str]] = {}
        self._meant: dict[str, tuple[str, float]] = {}
        self._vocabulary: set[str] = set()
        self._learn()

    def _learn(self) -> None:
        for number, flow in enumerate(self._flows):
            for word, weight in _words_of(flow).items():
                self._weights.setdefault(word, {})[number] = weight
            for phrase in flow.phrases:
                whole = tuple(stems(phrase))
                if whole:
                    self._phrases.setdefault(whole[0], []).append((whole, number))
                    self._vocabulary.update(whole)
        for by_flow in self._weights.values():
            _make_rare_words_count(by_flow, max(len(self._flows), 2))
        for known in self._phrases.values():
            known.sort(key=lambda pair: -len(pair[0]))
        self._vocabulary.update(self._weights)
        for word in sorted(self._vocabulary - STOP_STEMS):
            if len(word) >= _SHORT - 1:
                self._by_shape.setdefault((word[0], len(word)), []).append(word)

    def candidates(self, text: str, limit: int = 5) -> tuple[FlowMatch, ...]:
        """Return the flows that speak of anything in the text, the best first."""
        plain = telling_text(text)
        said = [self._known(word) for word in stems(plain)]
        scores: dict[int, float] = {}
        heard: set[str | tuple[object, ...]] = set()
        covered: dict[int, int] = {}
        told = 0
        for place, (word, likeness) in enumerate(said):
            early = max(_LATE, 1.0 - max(0, told - _OPENING) / _STORY)
            for phrase, number in self._phrases.get(word, ()):
                end = _end_of(said, place, phrase)
                if end > covered.get(number, 0) and (phrase, number) not in heard:
                    covered[number] = end  # a phrase inside a longer one adds nothing
                    heard.add((phrase, number))
                    worth = _PHRASES[min(len(phrase), len(_PHRASES)) - 1]
                    scores[number] = scores.get(number, 0.0) + worth * early * likeness
            if word in STOP_STEMS:
                continue
            told += 1
            if word not in heard:
                heard.add(word)
                for number, weight in self._weights.get(word, {}).items():
                    scores[number] = scores.get(number, 0.0) + weight * early * likeness
        for number in scores:
            if any(len(s & heard) >= _LIKE_A_STRANGER * len(s) for s in self._strangers[number]):
                scores[number] *= _STRANGER
        worth = weight_of(plain)
        if worth == 1.0:
            worth += _BRIEF * max(0, _OPENING - told) / _OPENING
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
        return tuple(
            FlowMatch(self._flows[number], round(score * worth, 3)) for number, score in ranked
        )

    def match(self, text: str) -> FlowMatch | None:
        """Return the flow the text is about, or None when too little speaks for any."""
        best = self.candidates(text, 1)
        return best[0] if best and best[0].score >= MINIMUM_SCORE else None

    def _known(self, word: str) -> tuple[str, float]:
        """Return the word itself, or the one of the vocabulary that it was meant to be."""
        if word in self._vocabulary or word in STOP_STEMS or len(word) < _SHORT or word.isdigit():
            return word, 1.0
        if word not in self._meant:
            if len(self._meant) > _REMEMBERED:
                self._meant.clear()
            self._meant[word] = self._nearest(word)
        return self._meant[word]

    def _nearest(self, word: str) -> tuple[str, float]:
        allowed = 1 if len(word) < _LONG else 2
        for distance in range(1, allowed + 1):
            for length in range(len(word) - distance, len(word) + distance + 1):
                for known in self._by_shape.get((word[0], length), ()):
                    if _distance(word, known, distance) <= distance:
                        return known, 0.8 if distance == 1 else 0.6
        for length in range(len(word) - 2, _PREFIX - 1, -1):  # a German compound, a plural …
            if word[:length] in self._vocabulary:
                return word[:length], 0.7
        return word, 1.0


def _make_rare_words_count(by_flow: dict[int, float], many: int) -> None:
    """Lower a word's worth by how many flows share it.

    A flow that only mentions the word takes less from one that is about it.
    """
    worths = tuple(by_flow.values())
    for number, weight in by_flow.items():
        shared = sum(min(1.0, other / weight) for other in worths)
        by_flow[number] = weight * math.log(1 + many / shared) / math.log(1 + many)


def _words_of(flow: Flow) -> dict[str, float]:
    """Return every word that a flow has about intakes, with its worth."""
    weighed: dict[str, float] = {}
    for text, weight in (
        *((topic, _TOPIC) for topic in flow.topics),
        *((keyword, _KEYWORD) for keyword in flow.keywords),
        (flow.title, _TITLE),
        *((phrase, _IN_PHRASE) for phrase in flow.phrases),
        *((sample, _IN_SAMPLE) for sample in flow.matches),
    ):
        for word in _telling(text):
            weighed[word] = max(weighed.get(word, 0.0), weight)
    return weighed


def _telling(text: str) -> frozenset[str]:
    return frozenset(stems(text)) - STOP_STEMS


def _end_of(said: list[tuple[str, float]], place: int, phrase: tuple[str, ...]) -> int:
    """Return where a phrase that begins here ends, 0 if it is another.

    One other word may stand between two of its words.
    """
    at = place
    for word in phrase[1:]:
        if at + 1 < len(said) and said[at + 1][0] == word:
            at += 1
        elif at + 2 < len(said) and said[at + 2][0] == word:
            at += 2
        else:
            return 0
    return at + 1


def _distance(one: str, two: str, limit: int) -> int:
    """Return the edits (swaps of neighbours included) between two words, or more than the limit."""
    if abs(len(one) - len(two)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(two, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]
