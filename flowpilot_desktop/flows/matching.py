"""Finding the flow that an intake speaks of.

Flows and intakes are first brought to the same words (``vocabulary``). Every word and phrase of a
flow is weighed by how few flows share it; a phrase counts where its words stand near each other in
one sentence, in whatever order. What is said first counts most, what is said to work hardly at all
(``intake``), and a word nobody knows counts as its nearest neighbour. Three things can keep a flow
from being found: too little speaks for it, the text asks for something instead of reporting a
fault, or it speaks more of a subject that is none of the flows' (``elsewhere``). A text much like
one of a flow's ``matches`` gains for that flow, one much like its ``not_matches`` loses.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from flowpilot_desktop.flows.elsewhere import SUBJECTS
from flowpilot_desktop.flows.intake import SETTLED, STOP_STEMS, parts_of, telling_text, weight_of
from flowpilot_desktop.flows.learned import NONE, Learned, features
from flowpilot_desktop.flows.model import GENERAL_ID, Flow
from flowpilot_desktop.flows.vocabulary import IDLE, KNOWN, meanings, raw_stems

MINIMUM_SCORE: Final = 3.6
"""Below this too little speaks for a flow; chosen on the corpora that may be looked at."""

_TOPIC: Final = 4.5
_KEYWORD: Final = 2.0
_TITLE: Final = 2.0
_IN_PHRASE: Final = 0.8
_IN_SAMPLE: Final = 0.5
"""What a word is worth by where the flow has it."""

_PHRASES: Final = (1.2, 2.6, 3.2, 3.6)
"""What a phrase of one, two, three, four and more words adds to its words."""

_LOOSE: Final = 0.75
"""Share of it where the words stand in another order or further apart."""

_GAP: Final = 3
"""Other words that may stand among those of a phrase."""

_FURTHER: Final = 0.6
"""What each further phrase of the same flow is worth beside the one before it."""

_LIKE_SAMPLE: Final = 3.5
_SIMILAR: Final = 0.5
"""What a text gains that holds all of a sample's words, and the share below which it gains none."""

_OPENING: Final = 10
_STORY: Final = 40
_LATE: Final = 0.35
"""Telling words that count in full, those over which the weight falls, and what it falls to."""

_BRIEF: Final = 0.5
"""What a complaint gains for saying little, at most: a summary has no room for a second keyword."""

_LIKE_A_STRANGER: Final = 0.75
_STRANGER: Final = 0.45
"""Share of a ``not_matches`` sample that must be heard, and what is then left of the score."""

_SOUND: Final = 12.5
_DOUBT: Final = 4.0
"""What the classifier's word is worth beside the common words, and how much must speak for a flow
before it is found; chosen on the corpora by cross-validation."""

_WELL_AGAIN: Final = 3 * _SOUND
"""What must speak for a flow besides where a text ends by saying that all is well again."""

_SHORT: Final = 5
_LONG: Final = 8
_PREFIX: Final = 6
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class FlowMatch:
    """A flow that an intake may be about, and how much speaks for it."""

    flow: Flow
    score: float


@dataclass(frozen=True, slots=True)
class _Heard:
    """A word of an intake: what it means, where it stands and what it is worth there."""

    word: str
    place: int
    sentence: int
    worth: float


class Matcher:
    """The flows, weighed once, ready for any number of intakes."""

    def __init__(self, flows: Iterable[Flow], learned: Learned | None = None) -> None:
        self._learned = learned
        self._flows = [flow for flow in flows if flow.id != GENERAL_ID]
        self._weights: dict[str, dict[int, float]] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        self._samples: dict[str, list[int]] = {}
        self._sample_words: list[tuple[int, dict[str, float]]] = []
        self._strangers = [
            [telling for sample in flow.not_matches if len(telling := _telling(sample)) > 1]
            for flow in self._flows
        ]
        self._by_shape: dict[tuple[str, int], list[str]] = {}
        self._meant: dict[str, tuple[str, float]] = {}
        self._vocabulary: set[str] = set(KNOWN | STOP_STEMS | IDLE)
        self._learn()

    def _learn(self) -> None:
        claimed: set[str] = set()
        phrases: list[tuple[tuple[str, ...], int]] = []
        for number, flow in enumerate(self._flows):
            for text, weight in _said_by(flow):
                self._learn_words(text, number, weight)
            phrases += ((_canonical(phrase), number) for phrase in flow.phrases)
            claimed.update(*(_telling(word) for word in (*flow.topics, *flow.keywords)))
        for number, (words, others) in enumerate(SUBJECTS, len(self._flows)):
            for text, weight in (*((w, _TOPIC) for w in words), *((o, _IN_PHRASE) for o in others)):
                self._learn_words(text, number, weight, claimed)
            phrases += ((_canonical(phrase), number) for phrase in others)
        many = len(self._flows) + len(SUBJECTS)
        for by_flow in self._weights.values():
            _make_rare_words_count(by_flow, many)
        self._learn_phrases(phrases)
        self._learn_samples()
        for word in sorted(self._vocabulary - IDLE):
            if len(word) >= _SHORT - 1:
                self._by_shape.setdefault((word[0], len(word)), []).append(word)

    def _learn_words(
        self, text: str, number: int, weight: float, claimed: Collection[str] = ()
    ) -> None:
        self._vocabulary.update(raw_stems(text))
        for word in _telling(text).difference(claimed):
            by_flow = self._weights.setdefault(word, {})
            by_flow[number] = max(by_flow.get(number, 0.0), weight)

    def _learn_phrases(self, phrases: list[tuple[tuple[str, ...], int]]) -> None:
        """Keep each phrase under the rarest of its words."""
        often: dict[str, int] = {}
        for phrase, _ in phrases:
            for word in set(phrase):
                often[word] = often.get(word, 0) + 1
        for phrase, number in dict.fromkeys(phrases):
            if len(phrase) > 1 or (phrase and phrase[0] not in STOP_STEMS):
                rarest = min(phrase, key=lambda word: (often[word], word))
                self._phrases.setdefault(rarest, []).append((phrase, number))

    def _learn_samples(self) -> None:
        everywhere = [
            (number, _telling(sample))
            for number, flow in enumerate(self._flows)
            for sample in flow.matches
        ]
        often: dict[str, int] = {}
        for _, words in everywhere:
            for word in words:
                often[word] = often.get(word, 0) + 1
        for number, words in everywhere:
            if len(words) > 1:
                worths = {word: math.log(1 + len(everywhere) / often[word]) for word in words}
                total = sum(worths.values())
                for word in words:
                    self._samples.setdefault(word, []).append(len(self._sample_words))
                self._sample_words.append(
                    (number, {word: worth / total for word, worth in worths.items()})
                )

    def candidates(self, text: str, limit: int = 5) -> tuple[FlowMatch, ...]:
        """Return the flows that speak of anything in the text, the best first."""
        judged = self._judged(text)
        best = sorted(judged.items(), key=lambda item: (-item[1], item[0]))[:limit]
        return tuple(FlowMatch(self._flows[number], round(score, 3)) for number, score in best)

    def match(self, text: str) -> FlowMatch | None:
        """Return the flow the text is about, or None when too little speaks for any."""
        best = self.candidates(text, 1)
        return best[0] if best and best[0].score > 0 else None

    def features(self, text: str) -> dict[int, float]:
        """Return what the classifier learns and judges a text by."""
        plain = telling_text(text)
        said = [said.word for said in self._heard(plain)]
        return features(plain, said, weight_of(plain, said))

    def _judged(self, text: str) -> dict[int, float]:
        """Return by how much each flow is ahead of the finding that there is none."""
        plain = telling_text(text)
        heard = self._heard(plain)
        ranked = self._ranked(plain, heard)
        many = len(self._flows)
        elsewhere = max((score for number, score in ranked.items() if number >= many), default=0.0)
        least = max(MINIMUM_SCORE, elsewhere)
        told = {n: score - least for n, score in ranked.items() if n < many}
        if self._learned is None or not told:
            return told
        said = [said.word for said in heard]
        words = frozenset(said)
        worth = weight_of(plain, said)
        sounds = self._learned.scores(features(plain, said, worth))
        none = sounds.get(NONE, 0.0) * _SOUND + elsewhere + _DOUBT
        if worth == SETTLED:
            none += _WELL_AGAIN
        judged = {
            number: (sounds[name] - self._is_stranger(number, words)) * _SOUND
            + ranked[number]
            - none
            for number in told
            if (name := self._flows[number].id) in sounds
        }
        nearest = max(told, key=lambda number: (told[number], -number))
        if nearest not in judged and told[nearest] > 0:  # a flow of one's own, never learned
            judged[nearest] = told[nearest] + max(0.0, *judged.values(), 0.0)
        return {number: judged.get(number, told[number]) for number in told}

    def _ranked(self, plain: str, heard: Sequence[_Heard]) -> dict[int, float]:
        """Return what flows and other subjects have in common with a text, by their number."""
        scores: dict[int, float] = {}
        worths: dict[str, float] = {}
        for said in heard:
            if said.word not in STOP_STEMS and said.worth > worths.get(said.word, 0.0):
                worths[said.word] = said.worth
        for word, worth in worths.items():
            for number, weight in self._weights.get(word, {}).items():
                scores[number] = scores.get(number, 0.0) + weight * worth
        for number, found in self._phrases_in(heard).items():
            scores[number] = scores.get(number, 0.0) + found
        for number, likeness in self._likenesses(worths).items():
            scores[number] = scores.get(number, 0.0) + likeness * _LIKE_SAMPLE
        for number in scores:
            if number < len(self._flows) and self._is_stranger(number, worths):
                scores[number] *= _STRANGER
        worth = weight_of(plain, {said.word for said in heard})
        if worth == 1.0:
            told = len({said.place for said in heard if said.word not in STOP_STEMS})
            worth += _BRIEF * max(0, _OPENING - told) / _OPENING
        return {number: score * worth for number, score in scores.items()}

    def _is_stranger(self, number: int, said: Collection[str]) -> bool:
        """Return whether a text with these words is much like one that must not find the flow."""
        return any(
            sum(word in said for word in sample) >= _LIKE_A_STRANGER * len(sample)
            for sample in self._strangers[number]
        )

    def _heard(self, text: str) -> list[_Heard]:
        heard: list[_Heard] = []
        place = told = 0
        for sentence, parts in enumerate(parts_of(text)):
            for part, worth in parts:
                known = [self._known(word) for word in raw_stems(part)]
                for word, start in meanings(word for word, _ in known):
                    early = max(_LATE, 1.0 - max(0, told - _OPENING) / _STORY)
                    likeness = known[start][1]
                    heard.append(_Heard(word, place, sentence, worth * early * likeness))
                    place += 1
                    told += word not in STOP_STEMS
            place += 1
        return heard

    def _phrases_in(self, heard: Sequence[_Heard]) -> dict[int, float]:
        """Return what the phrases that are heard are worth, by flow."""
        sentences: dict[int, dict[str, list[_Heard]]] = {}
        for said in heard:
            sentences.setdefault(said.sentence, {}).setdefault(said.word, []).append(said)
        found: dict[int, dict[tuple[str, ...], float]] = {}
        for sentence in sentences.values():
            for word in sentence:
                for phrase, number in self._phrases.get(word, ()):
                    worth = _worth_of(phrase, sentence, word)
                    if worth > 0:
                        of_flow = found.setdefault(number, {})
                        of_flow[phrase] = max(of_flow.get(phrase, 0.0), worth)
        return {number: _together(phrases) for number, phrases in found.items()}

    def _likenesses(self, worths: dict[str, float]) -> dict[int, float]:
        """Return how like the text is to the sample it is most like, by flow, from 0 to 1."""
        shares: dict[int, float] = {}
        for word, worth in worths.items():
            for index in self._samples.get(word, ()):
                share = self._sample_words[index][1][word]
                shares[index] = shares.get(index, 0.0) + share * worth
        found: dict[int, float] = {}
        for index, share in shares.items():
            if share > _SIMILAR:
                number = self._sample_words[index][0]
                found[number] = max(found.get(number, 0.0), (share - _SIMILAR) / (1 - _SIMILAR))
        return found

    def _known(self, word: str) -> tuple[str, float]:
        """Return the word itself, or the one of the vocabulary that it was meant to be."""
        if word in self._vocabulary or len(word) < _SHORT or any(sign.isdigit() for sign in word):
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


def _worth_of(phrase: tuple[str, ...], sentence: dict[str, list[_Heard]], rarest: str) -> float:
    """Return what a phrase is worth in a sentence, 0 where its words do not stand together."""
    if not all(word in sentence for word in phrase):
        return 0.0
    best = 0.0
    for anchor in sentence[rarest]:
        chosen = [
            min(sentence[word], key=lambda said: abs(said.place - anchor.place)) for word in phrase
        ]
        places = [said.place for said in chosen]
        span = max(places) - min(places) + 1
        if span <= len(phrase) + _GAP:
            exact = all(b - a == 1 for a, b in pairwise(places))
            worth = _PHRASES[min(len(phrase), len(_PHRASES)) - 1] * min(
                said.worth for said in chosen
            )
            best = max(best, worth if exact else worth * _LOOSE)
    return best


def _together(phrases: dict[tuple[str, ...], float]) -> float:
    """Return what phrases of one flow are worth: one that says nothing new adds nothing."""
    total, share = 0.0, 1.0
    covered: set[str] = set()
    for phrase, worth in sorted(phrases.items(), key=lambda item: (-item[1], item[0])):
        if not covered.issuperset(phrase):
            total += worth * share
            share *= _FURTHER
            covered.update(phrase)
    return total


def _make_rare_words_count(by_flow: dict[int, float], many: int) -> None:
    """Lower a word's worth by how many flows share it.

    A flow that only mentions the word takes less from one that is about it.
    """
    worths = tuple(by_flow.values())
    for number, weight in by_flow.items():
        shared = sum(min(1.0, other / weight) for other in worths)
        by_flow[number] = weight * math.log(1 + many / shared) / math.log(1 + many)


def _said_by(flow: Flow) -> Iterable[tuple[str, float]]:
    """Yield every text that a flow has about intakes, with what its words are worth."""
    yield from ((topic, _TOPIC) for topic in flow.topics)
    yield from ((keyword, _KEYWORD) for keyword in flow.keywords)
    yield flow.title, _TITLE
    yield from ((phrase, _IN_PHRASE) for phrase in flow.phrases)
    yield from ((sample, _IN_SAMPLE) for sample in flow.matches)


@lru_cache(maxsize=8192)
def _canonical(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word, _ in meanings(raw_stems(text))))


def _telling(text: str) -> frozenset[str]:
    return frozenset(_canonical(text)) - STOP_STEMS


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
