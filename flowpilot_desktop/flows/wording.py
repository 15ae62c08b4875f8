"""Comparing what people write: whether it is the same step, whether it names that option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from flowpilot_desktop.core.session import Option


def word_set(text: str) -> frozenset[str]:
    """Return the words of a space-separated list."""
    return frozenset(text.split())


_WORD: Final = re.compile(r"[^\W_]+(?:['.:\\/-][^\W_]+)*")
_IDLE: Final = word_set(
    "a an and the then of on in at to for with from into it its this that is are be been now again "
    "please try you your do does did whether if"
)
_NEGATIONS: Final = word_set("no not never none without isn't doesn't don't can't won't")
_HEDGES: Final = _NEGATIONS | word_set(
    "maybe perhaps probably possibly unsure guess think sometimes or either both but except idea "
    "clue know sure partly nicht kein keine vielleicht weiß quizás creo"
)
_YES: Final = word_set("yes yep yeah yup ja si sí correct")
_NO: Final = word_set("no nope nein")
_SAME: Final = 0.78


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Return a text's words in small letters, with what joins them (host names, paths, 0x80…)."""
    return tuple(_WORD.findall(text.casefold().replace("\u2019", "'")))


@lru_cache(maxsize=4096)
def _telling(text: str) -> frozenset[str]:
    return frozenset(word for word in words(text) if word not in _IDLE)


def is_same(first: str, second: str) -> bool:
    """Return whether two cards ask for the same, give or take a few words."""
    one, two = _telling(first), _telling(second)
    if not one or not two:
        return False
    if (one & _NEGATIONS) != (two & _NEGATIONS):
        return False
    numbers = {word for word in one ^ two if any(sign.isdigit() for sign in word)}
    return not numbers and len(one & two) / len(one | two) >= _SAME


def is_same_command(first: str, second: str) -> bool:
    """Return whether two commands are the same but for spaces and case."""
    return " ".join(first.casefold().split()) == " ".join(second.casefold().split())


def named_option(
    options: tuple[Option, ...], aliases: Mapping[str, tuple[str, ...]], text: str
) -> str | None:
    """Return the value of the one option that a free text plainly names, or None."""
    said = words(text)
    if not said or "?" in text:
        return None
    named = {
        option.value
        for option in options
        for name in (option.label, *aliases.get(option.value, ()))
        if _names(said, words(name))
    }
    if not named:
        named = _yes_or_no(options, said)
    return named.pop() if len(named) == 1 else None


def _names(said: tuple[str, ...], name: tuple[str, ...]) -> bool:
    if not name or (_HEDGES & set(said)) - set(name) or set(name) <= _YES | _NO:
        return said == name
    length = len(name)
    return any(said[start : start + length] == name for start in range(len(said) - length + 1))


def _yes_or_no(options: tuple[Option, ...], said: tuple[str, ...]) -> set[str]:
    for answers in (_YES, _NO):
        if said[0] in answers and not _HEDGES & set(said[1:]):
            return {
                option.value
                for option in options
                if (first := words(option.label)) and first[0] in answers
            }
    return set()
