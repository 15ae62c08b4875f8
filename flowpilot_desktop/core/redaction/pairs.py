"""Secrets known by the company they keep: a user's name, a sign-in, a password's name near by."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from flowpilot_desktop.core.redaction import values
from flowpilot_desktop.core.redaction.names import Name
from flowpilot_desktop.core.redaction.reading import Reading, Span
from flowpilot_desktop.core.redaction.values import value_at

_WORD = re.compile(
    r"(?<![^\W\d_])(?:auto-?log[io]n|log(?:ged|s)?[- ]?[io]n(?:s|to)?|sign(?:ed|s)?[- ]?in|creds?"
    r"|credentials?|account|user(?:name)?|anmeldung|anmeldedaten|zugangsdaten|zugang|benutzer|identifiants?"
    r"|connexion|usuario|utente|credenciales|gebruiker|inloggegevens|wi-?fi|wlan|ssid|rdp|vpn|ssh"
    r"|web ?gui|admin page)(?![^\W\d_])"
)
_WORD_CORES = (
    "log", "sign", "cred", "account", "user", "anmeld", "zugang", "benutzer", "identifiant",
    "connexion", "usuario", "utente", "gebruiker", "wi-fi", "wifi", "wlan", "ssid", "rdp", "vpn",
    "ssh", "gui", "admin page",
)  # fmt: skip
_PAIR = re.compile(
    r"[ \t]{0,4}(?:[:=(]|is|are|as|with|using|via|mit|for [\w.-]{1,40}:?"
    r"|for [\w.-]{1,40} (?:is|are)|data:|/(?:pass|pw|pwd|password):?(?: is)?)?[ \t]{0,4}"
    r"(?:[:(][ \t]{0,2})?[\"']?(?P<user>[\w.@\\+$-]{1,64})[\"']?"
    r"(?P<gap>[ \t]{1,3}(?://|[/|])[ \t]{1,3}|[/|]|:[ \t]?"
    r"|,? (?:and|with|using|und|mit|et|y|e|con|avec|en|met)(?: the)?(?: key| password| pw| pass)? "
    r"|[ \t]-[ \t]|,[ \t]|[ \t]{1,4}(?:pw|pass|pwd|password)[ \t]{1,2})"
)
_TIGHT_GAPS = ("/", "//", "|", ":")
# Passwords that devices leave the factory with; none looks like one.
_FACTORY = frozenset(
    """
    1234 12345 123456 12345678 0000 1111 admin password calvin raspberry ubnt toor changeme letmein
    public private default root 888888 9999 motorola epicrouter
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")
_KNOWN_USER = re.compile(
    r"(?<![\w./\\@-])(?:root|admin|administrator|sa|guest|support|pi|ubnt|cisco|user|ubuntu"
    r"|sysadmin|manager|operator|oracle|postgres|localadmin|tadmin|svc[_-]\w{1,24}"
    r"|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4})(?:[ ]{0,2}//?[ ]{0,2}|:)(?=\S)"
)
_WORD_AROUND = re.compile(r"default|login|log in|cred|pass|pw|factory|werks|standard|still|root/")
# What people say before they give a password away without calling it one.
_INTRO = re.compile(
    r"(?<![^\W\d_])(?:us(?:e|es|ed|ing)|tr(?:y|ied)|typed?|type in|enter(?:ed)?"
    r"|g(?:a|i)ve(?: (?:him|her|them|me|us))?(?: the)?|told (?:him|her|them)"
    r"|temp(?:orary)?(?: one)?(?: is|:)|it'?s|it is|is now|maybe|in with|works? with"
    r"|capital \w,|nimm|nutze|benutze|mit"
    r"|admin(?:istrator)?|root|login|user)[ \t]{1,3}[(\"']?(?=\S{7,40})"
)
_INTRO_CORES = (
    "use", "using", "try", "tried", "type", "enter", "gave", "give", "told ", "temp", "it's ",
    "its ", "it is ", "is now ", "maybe ", "with ", "capital ", "nimm ",
    "nutze ", "mit ", "admin", "root ", "login ",
)  # fmt: skip
_LONGEST_SPOKEN = 32
_SHORTEST_CODE = 4
# Products with a year, numbered things, functions in a module, cells of a sheet
_MADE_NAME = re.compile(
    r"(?:server|office|windows|win|outlook|exchange|sql|sharepoint|acrobat|word|excel|teams|edge"
    r"|chrome|project|visio|access|autocad|sage|quickbooks|vs|ipv)\d+\W*|\w+\d+#\d+"
    r"|(?:ticket|case|event|error|issue|bug|port|line|step|room|no|nr|pr|order|po|invoice|item|task"
    r"|job|build|version|slot|unit|id)#\d+\W?"
    r"|[a-z_]\w*!(?:\$?[a-z]{1,3}\$?\d+(?::\S*)?|\w+\+0x[0-9a-f]+)|\S*~\d\S*|[\d.]+\S{0,4}",
    re.IGNORECASE,
)
_CHANGE = re.compile(r"(?<![^\W\d_])(?:(?:re)?set|changed?)(?: [\w.-]{1,24}){0,3}? to:? ")
_TOKEN = re.compile(r"\S{6,160}")
_SIGN = values.HARD_SIGN
_NEAR = 120
_WIRELESS = "Wi-Fi key"
_KEY_AFTER_NETWORK = re.compile(r"[^\n]{1,60}?\b(?:with |the )?key(?: is)?:? ")


def found(reading: Reading, sign_ins: Sequence[re.Match[str]]) -> Iterator[Span]:
    """Yield the second halves of pairs: after sign-in words, users' names, "reset to"."""
    plain, folded = reading.plain, reading.folded
    for word in sign_ins:
        kind = _kind(word)
        yield from _second_half(plain, folded, word, kind)
        if kind == _WIRELESS and (key := _KEY_AFTER_NETWORK.match(folded, word.end())):
            yield from _mixture_at(plain, key.end(), kind)
    for low, high in reading.windows(("set ", "change"), 4, 120):
        for change in _CHANGE.finditer(folded, low, high):
            value = value_at(plain, change.end())
            if value is not None and values.is_hard_mixture(plain[value.start : value.end], 8):
                yield value.start, value.end, "password"
    for user in _KNOWN_USER.finditer(folded):
        value = value_at(plain, user.end())
        if value is None:
            continue
        text = plain[value.start : value.end]
        is_factory = text.casefold() in _FACTORY and _WORD_AROUND.search(
            folded, max(0, user.start() - 60), value.end + 60
        )
        if is_factory or _is_second_half(text):
            yield value.start, value.end, "password"
    yield from _introduced(reading)


def _introduced(reading: Reading) -> Iterator[Span]:
    """Yield words that only a password looks like, after what is said when one is given."""
    plain, folded = reading.plain, reading.folded
    for low, high in reading.windows(_INTRO_CORES, 12, 80):
        for intro in _INTRO.finditer(folded, low, high):
            value = value_at(plain, intro.end())
            if value is None or value.end - value.start > _LONGEST_SPOKEN:
                continue
            text = plain[value.start : value.end]
            if (
                values.is_hard_mixture(text, 7)
                and any(map(str.isdigit, text))
                and not _MADE_NAME.fullmatch(text)
            ):
                yield value.start, value.end, "password"


def near(
    reading: Reading,
    passwords: Sequence[Name],
    sign_ins: Sequence[re.Match[str]],
    known: Sequence[Span],
) -> Iterator[Span]:
    """Yield words on the line of a password's name or a sign-in that only a password looks like.

    Words in which something is known to be a secret already are left to that.
    """
    plain = reading.plain
    places = [(name.start, name.end, name.kind) for name in passwords]
    places += [(*word.span(), _kind(word)) for word in sign_ins]
    taken = sorted((start, end) for start, end, _ in known)
    reached = 0
    for start, end, kind in sorted(places):
        low = max(0, start - _NEAR)
        low = max(reached, low, plain.rfind("\n", low, start) + 1)
        stop = plain.find("\n", end, end + _NEAR)
        high = stop if stop >= 0 else min(len(plain), end + _NEAR)
        for match in _TOKEN.finditer(plain, low, high):
            if not _SIGN.search(plain, match.start() + 1, match.end()):
                continue
            after = bisect_left(taken, match.end(), key=lambda span: span[0])
            if after and taken[after - 1][1] > match.start():
                continue
            value = value_at(plain, match.start())
            if (
                value is not None
                and value.end <= match.end()
                and values.is_hard_mixture(plain[value.start : value.end])
            ):
                yield value.start, value.end, kind
        reached = max(reached, high)


def sign_ins(reading: Reading) -> list[re.Match[str]]:
    """Return the words that announce somebody's signing in."""
    return [
        word
        for low, high in reading.windows(_WORD_CORES, 30, 30)
        for word in _WORD.finditer(reading.folded, low, high)
    ]


def _kind(word: re.Match[str]) -> str:
    return _WIRELESS if word[0].startswith(("wi", "wlan", "ssid")) else "password"


def _second_half(plain: str, folded: str, word: re.Match[str], kind: str) -> Iterator[Span]:
    """Yield what follows a user's name after a sign-in word."""
    pair = _PAIR.match(folded, word.end())
    value = value_at(plain, pair.end()) if pair else None
    if pair is None or value is None:
        return
    text = plain[value.start : value.end]
    is_tight = pair["gap"].strip(" ,\t") in _TIGHT_GAPS or _MAIL.fullmatch(pair["user"])
    is_code = (
        text.isdigit() and len(text) >= _SHORTEST_CODE and word[0].startswith(("cred", "zugang"))
    )
    if is_code or (_is_second_half(text) if is_tight else values.is_hard_mixture(text)):
        yield value.start, value.end, kind


def _is_second_half(text: str) -> bool:
    return values.is_mixture(text) and text[0] not in ":/" and "/" not in text.rstrip("/")


def _mixture_at(plain: str, start: int, kind: str) -> Iterator[Span]:
    value = value_at(plain, start)
    if value is not None and values.is_mixture(plain[value.start : value.end], 8):
        yield value.start, value.end, kind
