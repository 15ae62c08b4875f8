"""Finding the flow that an intake speaks of.

A few dozen flows need no database: every word and phrase of a flow is weighed by how few flows
share it, and an intake scores by the words it has in common with a flow. Full-text engines know no
typing errors and no negation; here a word that the vocabulary does not know counts as its nearest
neighbour (one or two letters off), and greetings, signatures and quoted mail count for nothing.
What is said first counts most: the summary comes before the story.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flowpilot_desktop.flows.model import GENERAL_ID, Flow
from flowpilot_desktop.flows.wording import word_set

MINIMUM_SCORE: Final = 3.4

_WORD: Final = re.compile(r"[^\W_]+")
_TEXT_LIMIT: Final = 4000
_TELLING_LINES: Final = 24

_STOP: Final = word_set(
    # English, German and Spanish words that no flow is about
    """a about after again all also am an and any are as at be because been before but by can cant
    could day did do does doesnt doing done dont for from get gets getting got had has have he hello
    help her hey hi him his how i if im in into is isnt it its ive just keep keeps kind like me
    morning my need needs no not now of off on one only or our out over please pls re regards she
    since so some still than thank thanks that the their them then there these they this those to
    today tried try trying up us user users want was we were what when where which while who why
    will with wont work working works would yesterday you your issue issues problem problems says
    say said saying error message client customer computer pc laptop ticket urgent asap best call
    der die das ein eine einen und ist nicht mit auf bei ich wir sie er es den dem im in von zu
    kann können hat haben mein meine seit heute bitte hallo guten tag danke mehr kein keine geht
    el la los las un una de que no y en mi con por para se es está hola gracias buenos días desde
    hoy puedo puede tengo"""
)
_SIGN_OFF: Final = re.compile(
    r"(?im)^\s*(?:--\s*$|_{5,}|-{5,}|(?:kind |best |warm |many )?regards\b|thanks\s*[,!.]?\s*$|"
    r"thank you\s*[,!.]?\s*$|many thanks|cheers\s*,|sincerely|mit freundlichen gr|"
    r"viele gr|saludos|sent from my|from: .*@|on .{6,60} wrote:|-+ ?original message)"
)
_ENDINGS: Final = (
    ("ies", "y"), ("ings", ""), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""), ("e", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlowMatch:
    """A flow that an intake may be about, and how much speaks for it."""

    flow: Flow
    score: float


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return a word without its commonest English endings."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):  # noqa: PLR2004
            word = word[: -len(ending)] + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouls":  # noqa: PLR2004
        word = word[:-1]
    return word


def telling_text(text: str) -> str:
    """Return an intake without what people put around it: signatures, quoted mail, rulers."""
    text = text[:_TEXT_LIMIT].replace("\u2019", "'")
    sign_off = _SIGN_OFF.search(text)
    if sign_off is not None and sign_off.start() > 0:
        text = text[: sign_off.start()]
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(">")]
    return "\n".join(lines[:_TELLING_LINES])


def stems(text: str) -> list[str]:
    """Return the stems of a text's words in order; apostrophes and hyphens join."""
    joined = text.casefold().replace("'", "").replace("wi-fi", "wifi").replace("e-mail", "email")
    return [stem(word) for word in _WORD.findall(joined)]


_STOP_STEMS: Final = frozenset(stem(word.replace("'", "")) for word in _STOP)


class Matcher:
    """The flows, weighed once, ready for any number of intakes."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._flows = [flow for flow in flows if flow.id != GENERAL_ID]
        self._weights: dict[str, dict[int, float]] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        self._by_shape: dict[tuple[str, int], list[str]] = {}
        self._learn()

    def _learn(self) -> None:
        words: list[Counter[str]] = []
        for number, flow in enumerate(self._flows):
            counted: Counter[str] = Counter()
            for text, weight in (
                *((keyword, 3.0) for keyword in flow.keywords),
                (flow.title, 2.0),
                *((phrase, 1.0) for phrase in flow.phrases),
                *((sample, 0.6) for sample in flow.matches),
            ):
                for word in set(stems(text)) - _STOP_STEMS:
                    counted[word] = max(counted[word], weight)  # type: ignore[assignment]  # Counter of float
            words.append(counted)
            for phrase in flow.phrases:
                whole = tuple(stems(phrase))
                if whole:
                    self._phrases.setdefault(whole[0], []).append((whole, number))
        shared = Counter(word for counted in words for word in counted)
        for number, counted in enumerate(words):
            for word, weight in counted.items():
                rarity = math.log(1 + len(words) / shared[word]) / math.log(1 + max(len(words), 2))
                self._weights.setdefault(word, {})[number] = weight * rarity
        for word in self._weights:
            self._by_shape.setdefault((word[0], len(word)), []).append(word)

    def candidates(self, text: str, limit: int = 5) -> tuple[FlowMatch, ...]:
        """Return the flows that speak of anything in the text, the best first."""
        said = stems(telling_text(text))
        scores: dict[int, float] = {}
        heard: set[str] = set()
        for place, word in enumerate(said):
            early = max(0.35, 1.0 - max(0, place - 12) / 60)
            for phrase, number in self._phrases.get(word, ()):
                key = " ".join(phrase)
                if key not in heard and _follows(said, place, phrase):
                    heard.add(key)
                    scores[number] = scores.get(number, 0.0) + 3.0 * early
            if word in _STOP_STEMS or word in heard:
                continue
            heard.add(word)
            known, likeness = self._known(word)
            for number, weight in self._weights.get(known, {}).items():
                scores[number] = scores.get(number, 0.0) + weight * early * likeness
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
        return tuple(FlowMatch(self._flows[number], round(score, 3)) for number, score in ranked)

    def match(self, text: str) -> FlowMatch | None:
        """Return the flow the text is about, or None when too little speaks for any."""
        best = self.candidates(text, 1)
        return best[0] if best and best[0].score >= MINIMUM_SCORE else None

    def _known(self, word: str) -> tuple[str, float]:
        """Return the word itself, or the nearest one of the vocabulary for a typing error."""
        if word in self._weights or len(word) < 5 or word.isdigit():  # noqa: PLR2004
            return word, 1.0
        allowed = 1 if len(word) < 8 else 2  # noqa: PLR2004
        for distance in range(1, allowed + 1):
            for length in range(len(word) - allowed, len(word) + allowed + 1):
                for known in self._by_shape.get((word[0], length), ()):
                    if len(known) >= 4 and _distance(word, known, distance) <= distance:  # noqa: PLR2004
                        return known, 0.8 if distance == 1 else 0.6
        return word, 1.0


def _follows(said: list[str], place: int, phrase: tuple[str, ...]) -> bool:
    """Return whether a phrase begins here, with at most one other word between its words."""
    at = place
    for word in phrase[1:]:
        if at + 1 < len(said) and said[at + 1] == word:
            at += 1
        elif at + 2 < len(said) and said[at + 2] == word:
            at += 2
        else:
            return False
    return True


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
