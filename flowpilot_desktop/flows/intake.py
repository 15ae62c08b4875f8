"""Reading an intake: what of it tells of the problem, and whether it tells of one at all.

Greetings, signatures and quoted mail count for nothing. A text that only asks for something ("order
a monitor") is no fault, however many words it shares with a flow; one that names a symptom is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from flowpilot_desktop.flows.vocabulary import stem
from flowpilot_desktop.flows.wording import word_set

SETTLED: Final = 0.1
REQUEST: Final = 0.27
MIXED: Final = 0.6
NO_SYMPTOM: Final = 0.6
"""What the words of a text are worth when it says that all is well again, when it only asks, when
it asks to buy and complains, and when it does neither."""

_TEXT_LIMIT: Final = 4000
_TELLING_LINES: Final = 24

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
    "invoice|maintenance window|how (?:long|much|many|often)|do we (?:still )?need|what do we need|"
    "pick (?:it |them )?up|collect|when (?:are|can|could|do|does)|"
    "who (?:do|can|is|are|could|should)|"
    "would it be possible|planned|needs? (?:a |an |the )?(?:new |own )?(?:laptop|pc|phone|email|"
    "computer|mailbox|account|licen[cs]e|access|monitor|headset)|would you like|interested in|"
    "we are (?:a|the|moving|planning|opening)|we're (?:moving|planning|opening)|any plans|"
    "next (?:week|month)|for (?:your|my) (?:review|records|information)|"
    "can (?:someone|somebody|you) (?:come|send)|"
    "book|schedule|reserve|prepare|plan the|change request|approve the|admin rights"
)
_ASKS: Final = re.compile(
    rf"\b(?:(?:{_POLITE}):? (?:[\w']+ ){{0,3}}?(?:{'|'.join(_VERBS.split()).replace('-', ' ?')})"
    rf"|{_WISHES}|please|pls|kindly)\b|\A\W*(?:{_OPENERS})\b"
)
_SHUT: Final = re.compile(r"\bshut (?:\w+ ){0,3}down\b")
"""Something that is asked for; what shuts down by itself is told with an s."""

_SETTLED: Final = re.compile(
    r"\b(?:never ?mind|(?:please )?ignore (?:this|my)[\w ]*|works? (?:again|now)|"
    r"(?:is |it's |all )?(?:fine|ok|good|sorted|solved|resolved|fixed) (?:again|now|itself)|"
    r"(?:has been|is|was) (?:solved|resolved|sorted)|can be closed|you can close[\w ]*)"
    r"(?: now)?(?:,? (?:it )?works?)?(?:[,.!]* (?:many )?(?:thanks?|thx|cheers)[\w ]*)?\W*\Z"
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
    r"(?:turn|switch|shut|power|go)(?:s|es|ed|ing)(?: \w+)? (?:off|down)|"
    r"corrupt\w*|damaged|unlock|reset (?:my|his|her|the|a) (?:\w+ )?password|password reset|"
    r"unknown|unidentified|stays?|shows?|terrible|awful\w*|suddenly|unavailable|"
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
_FORWARDED: Final = re.compile(
    r"(?i)\A\W*(?:fwd?|fyi|wg|tr|rv)\b\s*:|see (?:the )?(?:mail |message )?below|forwarded|"
    r"below (?:is )?from|original message"
)
_HEADER: Final = re.compile(r"(?i)^[>\s]*(?:from|to|cc|sent|date|von|an|gesendet):")
_OWN_WORDS: Final = 240

_SENTENCE: Final = re.compile(r"[.!?;]+(?=\s|$)|[\n\u2022]+")
_PART: Final = re.compile(r",|\s[-\u2013]\s|\b(?:but|however|though|although|while|whereas|aber)\b")
_FINE: Final = re.compile(
    r"\b(?:works|work(?:ing|ed)? (?:fine|ok|okay|well|normally|perfectly|as usual|before)|"
    r"(?:is|are|'s|all|looks?|seems?|was) (?:working|fine|ok|okay|good|normal|all ?right|up)|"
    r"fine|ok|okay|no (?:problems?|issues?))\b(?! on (?:my|the|his|her) (?:phone|mobile|iphone))"
)
_NOT_FINE: Final = re.compile(
    r"\b(?:not|n't|cannot|cant|dont|doesnt|isnt|wont|never|only|no longer|says?|shows?|nothing)\b"
)
_ASIDE: Final = re.compile(r"\b(?:since|after|because of|due to|following|seit|nach)\b")

FINE: Final = 0.35
"""What the words of "the internet is fine" are worth."""


def telling_text(text: str) -> str:
    """Return an intake without what people put around it: signatures, quoted mail, rulers.

    What somebody forwards is the matter itself and stays.
    """
    text = text[:_TEXT_LIMIT].replace("\u2019", "'")
    if _FORWARDED.search(text[:_OWN_WORDS]) is not None:
        lines = [line.lstrip("> ") for line in text.splitlines() if not _HEADER.match(line)]
        lines = [line for line in lines if not _SIGN_OFF.match(line)]
    else:
        sign_off = _SIGN_OFF.search(text)
        if sign_off is not None and sign_off.start() > 0:
            text = text[: sign_off.start()]
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(">")]
    return "\n".join(lines[:_TELLING_LINES])


def parts_of(text: str) -> list[list[tuple[str, float]]]:
    """Return a text's sentences as their parts, each with what its words are worth.

    A part that says that something works tells little of what does not.
    """
    sentences = []
    for sentence in _SENTENCE.split(text):
        parts = []
        for part in _PART.split(sentence):
            if part.strip():
                folded = part.casefold()
                fine = _FINE.search(folded) is not None and _NOT_FINE.search(folded) is None
                parts.append((part, FINE if fine else 1.0))
        if parts:
            sentences.append(parts)
    return sentences


def weight_of(text: str, said: Iterable[str]) -> float:
    """Return what a text's words are worth: less when it reports nothing, least when it asks.

    ``said`` is what its words mean.
    """
    folded = _SHUT.sub("halt", text.casefold())
    if _SETTLED.search(folded) is not None:
        return SETTLED
    if _TELLS.search(folded) is not None or not _FAULTS.isdisjoint(said):
        return MIXED if _BUYS.search(folded) is not None else 1.0
    return REQUEST if _ASKS.search(folded) is not None else NO_SYMPTOM


_FAULTS: Final = frozenset(
    stem(word)
    for word in word_set(
        "not nobody gone drop slow freeze stuck crash dead full blank flicker weird denied "
        "expire forget undo popup notsecure bounce spam phish hacked bluescreen "
        "recoverykey byitself updatecode error0xc noaddress cpu kerberos choppy robot quiet "
        "underwater crackle noisy loud loop pending conflict behind ahead fast greyed hot dim "
        "upside distorted overheat beep smoke click twice endless unexpected unplugged corrupt"
    )
)
STOP_STEMS: Final = frozenset(stem(word.replace("'", "")) for word in _STOP)
"""Stems of words that no flow is about."""
