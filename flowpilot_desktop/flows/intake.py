"""Reading an intake: what of it tells of the problem, and whether it tells of one at all.

Greetings, signatures and quoted mail count for nothing. A text that only asks for something ("order
a monitor") is no fault, however many words it shares with a flow; one that names a symptom is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from flowpilot_desktop.flows.wording import word_set

REQUEST: Final = 0.27
MIXED: Final = 0.6
NO_SYMPTOM: Final = 0.8
"""What the words of a text are worth when it only asks, when it asks to buy and complains, and
when it does neither."""

_WORD: Final = re.compile(r"[^\W_]+")
_TEXT_LIMIT: Final = 4000
_TELLING_LINES: Final = 24
_SHORTEST_STEM: Final = 3
_DOUBLED: Final = 4

_VERBS: Final = (
    "add approve archive block book buy change check collect copy create delete deploy disable "
    "dispose enable encrypt export extend forward give install move order plan prepare print "
    "provide quote raise reactivate remove rename replace restore scan send set set-up "
    "setup shut tell update upgrade whitelist bestellen einrichten aktualisieren"
)
_POLITE: Final = (
    "please|pls|bitte|kindly|could you|could we|can you|can we|would you|need to|we need|i need|"
    "let's|request|anfrage"
)
_OPENERS: Final = (
    "add|book|change|check|copy|create|delete|dispose|export|extend|give|move|new user|offer|order|"
    "print|prepare|question|quarterly|monthly|weekly|feedback|remove|rename|renew|renewal|replace|"
    "report|restore|send|set|thanks|thank you|update (?:our|of)|upgrade|who|is there|are there|"
    "are you|are we|is [\\w ]+ (?:supported|possible|included)|should (?:i|we)|needs? an?|"
    "we need an?|we will|we want|what does|anfrage|necesito|solicito"
)
_WISHES: Final = (
    "quote|quotation|price|offer|angebot|presupuesto|licen[cs]es? of|additional|training|"
    "how (?:do|can|to)|what is|what are|which|where is|where do|when will|is it possible|"
    "can (?:i|we) (?:get|have)|would like|we'd like|i want|we want|do we have|recommend|"
    "recommendation|offboarding|set up a new|i need an?|need a new|need a replacement|new user:|"
    "starts? (?:on|next|monday|tuesday|wednesday|thursday|friday)|planning|reminder|deadline|"
    "invoice|maintenance window"
)
_ASKS: Final = re.compile(
    rf"\b(?:(?:{_POLITE}):? (?:[\w']+ ){{0,3}}?(?:{'|'.join(_VERBS.split()).replace('-', ' ?')})"
    rf"|{_WISHES})\b|\A\W*(?:{_OPENERS})\b"
)
_BUYS: Final = re.compile(
    r"\b(?:please order|need (?:a|an) (?:new|replacement)|quote|quotation|price for|angebot)\b"
)
_TELLS: Final = re.compile(
    r"\b(?:not|no longer|can'?t|cannot|won'?t|doesn'?t|don'?t|isn'?t|unable|error|fail\w*|"
    r"stop(?:s|ped)|slow\w*|crash\w*|stuck|missing|gone|disappear\w*|lost|loses?|down|broken?|"
    r"blocked|hacked|unbearabl\w*|sluggish|mistyped|invalid|drops?|dropping|disconnect\w*|full|"
    r"lock(?:ed|s)|expired|black|freez\w*|frozen|hangs?|keeps?|wrong|incorrect|denied|refused|"
    r"reject\w*|bounc\w*|undeliver\w*|suspicious|dodgy|strange|weird|clicked|problem|trouble|"
    r"issue|warn\w*|offline|unreachable|nobody|never|forgot\w*|since|stolen|weak|flicker\w*|echo|"
    r"no (?!problem|rush|hurry|worr)\w+|nothing|none|asks?|asking|says|lags?|blank|alert|"
    r"corrupt\w*|damaged|unknown|unidentified|stays?|shows?|terrible|awful\w*|suddenly|unavailable|"
    r"nicht|kein\w*|fehler\w*|voll|langsam|gesperrt|vergessen|funktioniert|bloquead\w*|lent[oa])\b"
)
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


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return a word without its commonest English endings."""
    for ending, instead in _ENDINGS:
        if (
            word.endswith(ending)
            and len(word) - len(ending) >= _SHORTEST_STEM
            and not word.endswith("ss")
        ):
            word = word[: -len(ending)] + instead
            break
    if len(word) > _DOUBLED and word[-1] == word[-2] and word[-1] not in "aeiouls":
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


def weight_of(text: str) -> float:
    """Return what a text's words are worth: less when it reports nothing, least when it asks."""
    folded = text.casefold()
    if _TELLS.search(folded) is not None:
        return MIXED if _BUYS.search(folded) is not None else 1.0
    return REQUEST if _ASKS.search(folded) is not None else NO_SYMPTOM


STOP_STEMS: Final = frozenset(stem(word.replace("'", "")) for word in _STOP)
"""Stems of words that no flow is about."""
