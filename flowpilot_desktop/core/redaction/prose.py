"""Secrets that are known by what is said around them.

A secret's name ("password", "Kennwort", "api_key", "verification code") is looked for first. From
each name the text is read a short way on, and back, for one of the forms in which people and
programs state a value: a colon or equals sign, "is", nothing at all, a quoted or bracketed value,
the next line, a column of a table, a word that can only be a password. How much the value itself
must look like a secret depends on the form; ``values`` decides that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import zip_longest

from flowpilot_desktop.core.redaction import commands, pairs, tables, values
from flowpilot_desktop.core.redaction.names import Name, named
from flowpilot_desktop.core.redaction.reading import Reading, Span
from flowpilot_desktop.core.redaction.values import Value, trimmed, value_at

# Between a name and its value
_QUALIFIER = (
    r"(?:\\?[\"'])?\d{0,2}(?:[_-]?(?:new|old|temp|neu|alt|prod|test|live|dev|value|plain|text))?"
    r"(?:\\?[\"'])?[ \t]{0,8}(?:[(\[][^)\]\n]{0,40}[)\]][ \t]{0,4})?"
)
_EQUALS = r"[ \t]{0,40}(?:::?=?|=>?|->|[→⇒])[ \t]{0,40}(?:dword:|hex:|\d{1,3}:b:)?"
_DASH = (
    r"[ \t]{1,4}[-|][ \t]{1,4}|[ \t]?\t[ \t]?|[ \t]--\w+[ \t]"
    r"|[ \t]{1,8}reg_(?:expand_)?sz[ \t]{1,8}"
)
_ELEMENT = (
    r">\s{0,40}(?:<(?:value|string|plaintext)>)?|[\"']\s{1,8}value\s?=\s?|[ \t]?/?>\s{0,4}<string>"
    r"|</\w{1,20}>\s{0,40}<\w{1,20}>"
)
_SET = (
    r"(?:(?:has|had|have) been |was |is |got |gets |to be )?(?:just |now |back )?(?:(?:re)?set"
    r"|changed|updated|geändert|zurückgesetzt)(?: [^\W\d_]{2,12}){0,3}? (?:to|auf|in|zu)"
)
_IS = (
    r"(?:is|was|are|will be|should be|must be|ist|war|lautet|lautete|est|était|è|é|era|är|je|jest"
    r"|to be|remains|stays|called|equals|being|=)(?: (?:now|still|currently|just|then|probably"
    r"|again|set to|simply|nu|jetzt|noch|maintenant|ahora|adesso|nog|teraz|only|back to|changed to"
    r"|reset to|also))?"
)
_LOOSELY_IS = r"(?:(?:back )?to|of|on|es|er|fue|og|nu|auf|stands|as)(?: nu)?"
_PREPOSITION = (
    r"(?:for|on|of|to|at|from|in|by|behind|under|vom|von|für|im|in|auf|zum|zur|des|der|du|de|del"
    r"|da|do|dos|das|di|della|pour|per|para|van|voor|op|av|för|til|till|na|dla|от|для|au|sur"
    r"|nueva?|nouveau|neu|neues)"
)
_QUALIFIER_ALONE = re.compile(_QUALIFIER)
_STRONG = re.compile(_QUALIFIER + rf"(?:{_EQUALS}|{_ELEMENT})(?:e['\"]|n(?=')|@)?")
_DASHED = re.compile(_QUALIFIER + rf"(?:{_DASH}|,\s{{0,4}}(?=[\"']))")
_STATED = re.compile(
    _QUALIFIER + rf"(?:[ \t]{{1,4}}|, )?(?:(?P<set>{_SET})|(?P<is>{_IS})|(?P<loose>{_LOOSELY_IS}))"
    r"[ \t]*:?[ \t\n]{1,4}"
)
_STRICT_TAIL = re.compile(_QUALIFIER + r"[^\n:=;.!?\"<>→\x00]{0,70}(?:[:=→]|->)[ \t]{0,40}")
_STATED_FAR = re.compile(
    _QUALIFIER + rf"[ \t]{{0,4}}{_PREPOSITION}[ \t][^\n:=;!?<>\x00]{{1,60}}?[ \t]"
    rf"(?:(?P<set>{_SET})|(?P<is>{_IS})|(?P<loose>es|er|to))[ \t]*:?[ \t]{{1,4}}"
)
# "the secret for the NPS client: giraffe", and nothing more on the line
_LAST_WORD = re.compile(
    _QUALIFIER + rf"[ \t]{{1,4}}{_PREPOSITION}[ \t][^\n:=;.!?\"<>\x00]{{1,50}}?"
    r"(?<!user)(?<!username)(?<!account)(?<!name)(?<!login)(?<!mailbox)(?<!benutzer)(?<!konto)"
    r"[ \t]{0,2}:[ \t]{1,4}(?=[^\s]{4,40}[ \t\r]*(?:\n|\Z))"
)
_STATED_IN_CLAUSE = re.compile(
    _QUALIFIER
    + r"[ \t][^\n:=;.!?\"<>\x00]{1,50}?[ \t](?:is|was|ist|war|lautet|est|es|jest)[ \t]{1,4}"
)
_BARE = re.compile(_QUALIFIER + r"[ \t]{1,4}(?:[0579] |enc )?")
_NEXT_LINE = re.compile(r"[ \t]*:?[ \t\r]*(?:\n[ \t\r]*){1,3}")

_REST = re.compile(r"[^\n]{1,400}")
_PHRASE = re.compile(r"[^\n.,;\"()\x00]{1,200}")
_REMARK = frozenset(
    """
    see ask stored same unknown the in is was not no none to must required please kept it as on
    siehe nicht kein voir pas ver
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_FORMS = {
    "pin": re.compile(r"\d[\d-]{2,11}[#*]?(?![\w])"),
    "code": re.compile(
        r"(?:\d{3}[ -]?\d{3,5}|\d\d \d\d \d\d|\d{4,8}|[a-z]-\d{4,8})(?![\w]|[ -]\d)"
    ),
    "cvv": re.compile(r"\d{3,4}(?![\w])"),
    "seed": re.compile(r"(?:[a-z2-7]{16,128}|[a-z2-7]{4}(?:[ -][a-z2-7]{4}){3,31})(?![a-z0-9])"),
    "licence": re.compile(
        r"(?=[a-z0-9-]{0,60}\d)[a-z0-9]{2,12}(?:-[a-z0-9]{2,12}){1,9}(?![\w-])"
        r"|(?=[a-z]{0,60}\d)[a-z0-9]{10,64}(?![\w-])"
    ),
}
_FORMS["recovery"] = _FORMS["licence"]
_BACKUP_CODE = re.compile(
    r"(?<![\w-])(?=[a-z0-9-]{0,20}\d)[a-z0-9]{4,10}(?:-[a-z0-9]{3,10}){0,4}(?![\w-])"
)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_CODE_LINE = re.compile(
    r"\n[ \t*-]{0,8}([a-z0-9]{4,10}(?:[ -][a-z0-9]{3,10}){0,3})(?=[ \t\r]*(?:\n|\Z))"
)
_CODE_LIST = re.compile(rf"[ \t]*:?[ \t\r]*(?:{_CODE_LINE.pattern}[ \t\r]*){{1,20}}")
_MEASURE = re.compile(
    r"\W?(?:char|digits?\b|zeichen|days?|times|attempts?|minutes?|is not|errors?)"
)
_CODE_BEFORE = re.compile(
    r"(?<![\w-])(?:g-)?(\d{3}[ -]?\d{3,5}|\d{4,8})[ \t]+(?:is|as|was|ist)[ \t]+"
    r"(?:[^\W\d_]+[ \t]+){0,4}\Z"
)
_COMMUNITY_TALK = frozenset(
    {"public", "string", "strings", "name", "ro", "rw", "manager", "edition", "college"}
)

_SHORTEST_WIRELESS = 8

_Accepts = Callable[[str, str], bool]


def found(reading: Reading) -> Iterator[Span]:
    """Yield start, end and kind of each secret."""
    spans = list(commands.found(reading))
    plain, folded = reading.plain, reading.folded
    reached = 0
    passwords: list[Name] = []
    names = list(named(reading))
    for name, following in zip_longest(names, names[1:]):
        if name.start < reached or _runs_into(folded, name, following):
            continue
        if name.group in ("password", "wifi", "phrase"):
            passwords.append(name)
        for span in _around(plain, folded, name):
            if span[0] >= name.end:
                reached = max(reached, span[1])
            spans.append(span)
    sign_ins = pairs.sign_ins(reading)
    spans += pairs.found(reading, sign_ins)
    yield from spans
    yield from pairs.near(reading, passwords, sign_ins, spans)


def _runs_into(folded: str, name: Name, following: Name | None) -> bool:
    """Tell whether the next word is a name itself, so that this one has no value of its own."""
    return (
        following is not None
        and following.start - name.end <= len(" is ")
        and folded[name.end : following.start] in (" ", " is ", "  ")
        and folded[following.end : following.end + 1].isspace()
    )


def _around(plain: str, folded: str, name: Name) -> Iterator[Span]:
    """Yield the secrets that one name gives away."""
    if name.group == "community":
        yield from _community(plain, folded, name)
    elif name.group == "backup":
        line = _REST.match(folded, name.end)
        for match in _BACKUP_CODE.finditer(folded, name.end, line.end() if line else name.end):
            yield *match.span(), name.kind
        listed = _CODE_LIST.match(folded, name.end)
        for match in _CODE_LINE.finditer(folded, name.end, listed.end() if listed else name.end):
            yield *match.span(1), name.kind
    elif name.group in _FORMS:
        yield from _of_a_form(folded, name)
    elif name.group in ("phrase", "content"):
        yield from _of_several_words(plain, folded, name)
    else:
        ahead = _forward(plain, folded, name)
        if ahead is not None:
            yield ahead
        if name.group == "password":
            yield from tables.column(plain, folded, name)
            if ahead is None:
                yield from _backward(plain, folded, name)


# Forward


def _forward(plain: str, folded: str, name: Name) -> Span | None:
    """Return the value that follows a name, trying the clearest form first."""
    in_address = folded[name.start - 1 : name.start] in ("?", "&") and folded.startswith(
        "=", name.end
    )
    for pattern, accepts in _attempts(folded, name):
        separator = pattern.match(folded, name.end)
        value = value_at(plain, separator.end(), in_address=in_address) if separator else None
        if separator is None or value is None:
            continue
        text, after = plain[value.start : value.end], plain[value.end : value.end + 24]
        if accepts(text, after) or (
            value.quoted
            and name.group == "password"
            and (
                (pattern in (_STRONG, _STATED) and _is_quoted_phrase(text))
                or (pattern is _BARE and _is_quoted_word(text))
            )
        ):
            return value.start, value.end, name.kind
    return _on_next_line(plain, folded, name) if name.group in ("password", "wifi") else None


def _attempts(  # noqa: C901 - one small rule for each form
    folded: str, name: Name
) -> list[tuple[re.Pattern[str], _Accepts]]:
    """Return the forms to try, each with what its value must be like."""
    is_password = name.group in ("password", "wifi")

    def strong(value: str, after: str) -> bool:
        if folded[name.start : name.end] == "pass" and folded[name.start - 1] not in "_-.":
            return values.is_mixture(value)  # "pass: 14, fail: 2"
        if is_password:
            return len(value) > 1 and not values.is_talk(value)
        if name.group == "key":
            return values.is_long_key(value, 16)
        if name.group == "secret" and values.is_plain_word(value):
            return len(value) >= _SHORTEST_WIRELESS and values.is_stated(value, after)
        return values.is_key(value)

    def mixture(value: str, _after: str) -> bool:
        return values.is_mixture(value)

    def stated(pattern: re.Pattern[str]) -> _Accepts:
        form = pattern.match(folded, name.end)
        if form is None or form["loose"]:
            return mixture
        if is_password:
            return values.is_stated
        if form["set"]:
            return lambda value, after: values.is_stated(value, after) and values.is_key(value)
        return lambda value, _after: values.is_key(value) and values.is_mixture(value)

    def bare(value: str, _after: str) -> bool:
        if name.group == "key":
            return values.is_long_key(value, 16)
        if is_password:
            if name.kind == "Wi-Fi key" and value.isdigit():
                return len(value) >= _SHORTEST_WIRELESS
            return values.is_mixture(value)
        if name.group == "secret" or folded.startswith("datto", name.start):
            return values.is_mixture(value) or values.is_long_key(value)
        return values.is_long_key(value)

    spoken: list[tuple[re.Pattern[str], _Accepts]] = [
        (_STATED, stated(_STATED)),
        (_STRICT_TAIL, mixture),
        (_LAST_WORD, values.is_stated if is_password or name.group == "secret" else mixture),
        (_STATED_FAR, stated(_STATED_FAR)),
        (_STATED_IN_CLAUSE, mixture),
        (_BARE, bare),
    ]
    if name.group == "key":  # too common a word for more than what stands right behind it
        spoken = [spoken[0], spoken[-1]]
    qualifier = _QUALIFIER_ALONE.match(folded, name.end)
    follows = qualifier.end() if qualifier else name.end
    if folded[follows : follows + 1].isalpha() and not folded.startswith("reg_", follows):
        return spoken
    return [(_STRONG, strong), (_DASHED, mixture), *spoken]


def _is_quoted_phrase(text: str) -> bool:
    words = text.split()
    return (
        len(words) > 1
        and any(character.isdigit() for character in text)
        and not values.is_talk(words[0])
    )


def _is_quoted_word(text: str) -> bool:
    return values.is_plain_word(text) and values.is_stated(text, "")


def _on_next_line(plain: str, folded: str, name: Name) -> Span | None:
    gap = _NEXT_LINE.match(folded, name.end)
    line = _REST.match(plain, gap.end()) if gap else None
    if line is None:
        return None
    text = line[0].strip()
    if not text or " " in text or "\t" in text or not values.is_mixture(text):
        return None
    begin = line.start() + line[0].index(text)
    return begin, begin + len(text), name.kind


# Names with values of their own form


def _of_a_form(folded: str, name: Name) -> Iterator[Span]:
    """Yield a code, PIN, seed or licence key: what has that form, and stands right there."""
    patterns = [_STRONG, _STATED, _STRICT_TAIL, _STATED_FAR]
    if folded[name.start : name.end] not in ("pin", "alarm"):
        patterns.append(_BARE)
    for pattern in patterns:
        separator = pattern.match(folded, name.end)
        if separator is None:
            continue
        start = separator.end() + folded.startswith(("'", '"'), separator.end())
        match = _FORMS[name.group].match(folded, start)
        if (
            match is not None
            and not values.is_talk(match[0])
            and not _GUID.fullmatch(match[0])
            and not _MEASURE.match(folded, match.end())
        ):
            yield *match.span(), name.kind
            return
    if name.group == "code":
        before = _CODE_BEFORE.search(folded, max(0, name.start - 60), name.start)
        if before is not None:
            yield *before.span(1), name.kind


def _community(plain: str, folded: str, name: Name) -> Iterator[Span]:
    for pattern in (_STRONG, _STATED, _STRICT_TAIL, _BARE):
        separator = pattern.match(folded, name.end)
        value = value_at(plain, separator.end()) if separator else None
        if value is None:
            continue
        text = plain[value.start : value.end]
        if text.lower() in _COMMUNITY_TALK or values.is_talk(text):
            continue
        needs_mixture = pattern in (_BARE, _STRICT_TAIL)
        is_of_snmp = folded[name.start : name.end] != "community"
        if (
            values.is_mixture(text, 4)
            if needs_mixture
            else is_of_snmp or not values.is_plain_word(text)
        ):
            yield value.start, value.end, name.kind
            return


def _of_several_words(plain: str, folded: str, name: Name) -> Iterator[Span]:
    """Yield a value of several words, to the end of the line or sentence."""
    for pattern in (_STRONG, _STATED, _STRICT_TAIL):
        separator = pattern.match(folded, name.end)
        value = value_at(plain, separator.end()) if separator else None
        if separator is None or value is None:
            continue
        start, end = value.start, value.end
        if not value.quoted:
            rest = (_REST if name.group == "content" else _PHRASE).match(plain, separator.end())
            if rest is None:
                continue
            start, end = rest.start(), rest.start() + len(rest[0].partition("</")[0].rstrip())
        words = plain[start:end].split()
        if not words or "\x00" in plain[start:end] or values.is_talk(plain[start:end]):
            continue
        is_short = len(words) < 3  # noqa: PLR2004 - "not accepted", "stored centrally"
        first = words[0].casefold()
        if not (values.is_talk(first) if is_short else first in _REMARK):
            yield start, end, name.kind
            return


# Backward: "Summer2024! is the password", "tried Password123 as password"

_ARTICLES = (
    r"(?:(?:a|an|the|his|her|their|my|our|your|new|old|temp|temporary|initial|local|default|admin"
    r"|current|das|ein|neue?s?|le|la|its|user|wifi|wi-fi|root)[ \t]+){0,3}\Z"
)
_BACK = re.compile(
    r"(?<!\S)(\S{3,128})[ \t]+(?:as|is|was|for|als|ist|comme|como|come)[ \t]+" + _ARTICLES
)
_BACK_QUOTED = re.compile(
    r"\"([^\"\n]{3,80})\"[ \t]+(?:is|was|as|ist)[ \t]+(?:[^\W\d_]+[ \t]+){0,3}\Z"
)
_BACK_ADJACENT = re.compile(r"(?:\b(?:the|his|her|their|old|new|my|that)[ \t]+)(\S{6,64})[ \t]+\Z")
_BACK_WORDS = re.compile(r" (?:as|is|was|for|als|ist|comme|como|come|the|his|her|their|old|new) ")


def _backward(plain: str, folded: str, name: Name) -> Iterator[Span]:
    low = max(0, name.start - 110)
    low = max(low, folded.rfind("\n", low, name.start) + 1)
    window = " " + folded[low : name.start]
    low -= 1
    if not _BACK_WORDS.search(window):
        return
    quoted = _BACK_QUOTED.search(window)
    if quoted is not None and not values.is_talk(quoted[1].split()[0]):
        yield low + quoted.start(1), low + quoted.end(1), name.kind
        return
    match = _BACK.search(window) or _BACK_ADJACENT.search(window)
    value: Value | None = None
    if match is not None:
        value = trimmed(plain, low + match.start(1), low + match.end(1))
    if value is not None:
        begin = value.start + (plain[value.start] in "\"'`(")
        if values.is_mixture(plain[begin : value.end], 6):
            yield begin, value.end, name.kind
