"""Reading an intake: what of it tells of the problem, and whether it tells of one at all.

Greetings, signatures and quoted mail count for nothing. A text that only asks for something ("order
a monitor") is no fault, however many words it shares with a flow; one that names a symptom is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from flowpilot_desktop.flows.wording import word_set

REQUEST: Final = 0.45
NO_SYMPTOM: Final = 0.8
"""What the words of a text are worth when it only asks, and when it neither asks nor complains."""

_WORD: Final = re.compile(r"[^\W_]+")
_TEXT_LIMIT: Final = 4000
_TELLING_LINES: Final = 24
_SHORTEST_STEM: Final = 3
_DOUBLED: Final = 4

_ASKS: Final = re.compile(
    r"\b(?:(?:please|pls|bitte|kindly|could you|can you|would you|need to|we need|i need|"
    r"request:?|anfrage:?) (?:\w+ ){0,3}?(?:order|buy|quote|send|create|install|add|set up|setup|"
    r"delete|remove|rename|move|forward|change|restore|raise|disable|whitelist|export|book|"
    r"update|provide|deploy|enable|encrypt|shut|scan|print|bestellen|einrichten|"
    r"aktualisieren)|"
    r"order|quote|price|offer|angebot|presupuesto|request|licen[cs]es? of|additional|training|"
    r"how (?:do|can|to)|what is|what are|which|where is|where do|when will|is it possible|"
    r"can (?:i|we) (?:get|have)|would like|i want|we want|do we have|offboarding|"
    r"set up a new|starts? on|need a new|new user:|planning|reminder|deadline|invoice)\b"
    r"|\A\W*(?:add|needs? an? |we need an? |book|change|check|copy|create|delete|dispose|export|"
    r"extend|give|move|new user|offer|print|prepare|quarterly|monthly|weekly|remove|rename|renew|"
    r"replace|report|restore|send|set up|thanks|thank you|update our|upgrade|who|is there|"
    r"are there|"
    r"is [\w ]+ (?:supported|possible|included)|should (?:i|we)|bitte|anfrage|necesito|solicito)\b"
)
_TELLS: Final = re.compile(
    r"\b(?:not|no longer|can'?t|cannot|cant|won'?t|wont|doesn'?t|doesnt|don'?t|isn'?t|unable|error|"
    r"fail\w*|stop(?:s|ped)|slow\w*|crash\w*|stuck|missing|gone|disappear\w*|lost|loses?|down|"
    r"broken?|drops?|dropping|disconnect\w*|full|lock(?:ed|s)|expired|black|freez\w*|frozen|"
    r"hangs?|keeps?|wrong|incorrect|denied|refused|reject\w*|bounc\w*|undeliver\w*|suspicious|"
    r"strange|weird|clicked|problem|trouble|issue|warn\w*|offline|unreachable|nobody|never|"
    r"forgot\w*|"
    r"nicht|kein\w*|fehler\w*|voll|langsam|gesperrt|vergessen|funktioniert|error|bloquead\w*|"
    r"lent[oa]|stolen|weak|flicker\w*|echo|since|no (?!problem|rush|hurry|worr)\w+|nothing|asks?|"
    r"asking|says|lags?|blank|alert|corrupt\w*|damaged|unknown|unidentified|stays?|shows?)\b"
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
        return 1.0
    return REQUEST if _ASKS.search(folded) is not None else NO_SYMPTOM


STOP_STEMS: Final = frozenset(stem(word.replace("'", "")) for word in _STOP)
"""Stems of words that no flow is about."""
