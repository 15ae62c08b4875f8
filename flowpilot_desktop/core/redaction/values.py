"""What can be a secret's value, where it ends, and what is only talk: "the password is incorrect".

The nearer a text stands to a secret's name, the less its value has to look like one: after a colon
almost anything counts, after "is" a word must not be a common one, and without any separator the
value has to be a mixture that no ordinary word, number or identifier is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowpilot_desktop.core.redaction.reading import BLANK

_TALK = frozenset(
    """
    a about above absent accepted active again all allowed already also always an and any anything
    applied as ask asked at attached authentication authorised authorized available away bad back
    based because before being below blank both broken but by cached can cannot case changed
    changing cleared complex compromised confidential configured correct could created current
    dead default deleted denied different disabled documented does done either empty enabled enter
    entered error even everything expired expires expiring fail failed fails failing false field
    fine fixed for forgotten found from fully getting given gone good handled has have he her here
    hidden his how ignored if in inactive included incorrect inside invalid it its just kept known
    last leaked left length less like local locked long looking lost masked matching maybe me
    minimum mine mismatch missing more must my n/a na needed needs never new next no none not
    nothing now null numeric of off ok okay old on once only open optional or other our out outdated
    over pasted pending per permanent please policy present private prompt prompted protected
    public random rather ready really rejected removed required reset resetting resets revoked
    right rotated safe same saved secret secure see sensitive sent set several shared she short
    should shown simple since so some something soon stale still stored strong synced synchronized
    tbd temporary that the their them then there they this those to too true unavailable
    unchanged undefined under unique unknown unset unused up updated upper use used useless user
    username using valid value vault verified very via visible was we weak were what when where
    which who why will with within without working works would wrong yes yet you your
    administrator admin token key password account
    bitte siehe ist war wird wurde nicht kein keine falsch richtig korrekt abgelaufen gesperrt
    unbekannt vergessen leer ungültig gültig geändert zurückgesetzt bekannt erforderlich muss läuft
    gleich hier nein ja gespeichert hinterlegt der die das ein eine und oder für zu sehr noch neu
    oublié expiré incorrect erroné inconnu vide non oui voir le la les un une dans est pas requis
    incorrecta incorrecto caducada caducado olvidada vacía desconocida no sí si ver en el los las
    verlopen onjuist vergeten onbekend leeg niet geen zie in het de een
    scaduta scaduto errata errato sbagliata dimenticata vuota sconosciuta
    expirada incorreta esquecida vazia
    nieprawidłowe nieprawidłowy wygasło wygasł zapomniane puste nieznane błędne
    неверный неверен истёк истек забыт забыл неизвестен пустой сброшен
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_TALK_ENDING = re.compile(
    r"[^\W\d_]{2,}(?:ed|ing|able|ible|ful|less|ive|ous|ly|tion|sion|ment)"
    r"|(?:ge|ver|ab|zur\u00fcck|un|er|aus|ein)[^\W\d_]+(?:t|en)"
)
_MASKED = re.compile(r"[*\u2022\u25cf\u2217#.\-_\x00]+|x{4,}|\?+")
_REFERENCE = re.compile(
    r"\$\w+(?:[.:]\w+)*|\$?\{[^}]*\}+|\$\([^)]*\)?|//\S*"
    r"|%(?:[^\W\d]+|(?-i:[A-Z\d_]+))%|<[^<>]*>|\{\{.*|\[[^\[\]]*\]|\([^()]*\)?"
    r"|\$env:\w+|@\w+@|__\w+__|[a-z_]\w*(?:\.\w+)*\([^)]*\)?"
    r"|(?:convertto|convertfrom|get|read|new|import)-[a-z]+|hk(?:lm|cu|cr|u|cc|ey_\w+)[:\\]\S*|null|none|nil|undefined|os\.environ\S*|process\.env\S*",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_SIGN = re.compile(r"[^\w\s]")
_STRONG_SIGN = re.compile(r"[!#$%&*+=?^~|\u00a3\u20ac\u00a7@<>]")
HARD_SIGN = re.compile(r"[!#$%&*+?^~\u00a3\u20ac\u00a7]")
_CODE_LIKE = re.compile(
    r"[=<>|\\]|://|\(|^[%$#&+*~?!-]|:\$|&&|%[0-9a-f]{2}.*%[0-9a-f]{2}|\w#$|^\w+\+\w+$|\w&\w$|^\w&\w",
    re.IGNORECASE,
)
_LONGEST_PASSWORD = 128
_LONG = 20
"""No word of a sentence is that long."""

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_HOST = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.[a-z]{2,12}")
_UNIT = re.compile(
    r"\W{0,2}(?:char|character|characters|zeichen|caract|znak|teken"
    r"|letters|digits|symbols|days?|tagen?"
    r"|minutes?|min|hours?|attempts?|times|seconds|times|%|to\s+\d|or\s+more|bit|years?|weeks?"
    r"|months?|of\s+\d|users?|bytes)"
)
_IDENTIFIER = re.compile(
    r"kb\d{6,7}|v?\d+(?:[.,:]\d+)+\w{0,4}|0x[0-9a-f]+|\d{1,4}[-/]\d{1,2}[-/]\d{1,4}"
    r"|\d{4}-\d\d-\d\dt\S*|[#~+-]?\d+(?:[.,]\d+)*(?:st|nd|rd|th|[kmgt]i?b(?:it|ps)?|hz|mhz|ghz|ms|s"
    r"|h|hrs?|mins?|days?|x|%|am|pm|bit|px|v|w|kg|cm|mm|\u00b0c?)?"
    r"|[mo]365|office\d+|win(?:dows)?-?\d+|sha-?\d+|md[45]|aes-?\d+(?:-\w+)?|rc4|wpa[23]?(?:-\w+)?"
    r"|[48]02\.1x|ipv[46]|tls1?\.?\d?|smbv?[123]|ntlmv?[12]|ldaps?|oauth2?|saml2?|utf-?8|base64"
    r"|[\w.+'-]+@[\w-]+(?:\.[\w-]+)+|[a-z][a-z0-9+.-]*://\S*|\\\\\S*|[a-z]:\\\S*|~?/[\w./-]*"
    r"|\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}"
    r"|(?-i:[A-Z][A-Z0-9-]{1,14}\$)|s-1-\d+(?:-\d+)+|error-?\d+|event-?\d+|aadsts\d+"
    r"|id=\S*|\w+=\"?\w*\"?|q[1-4]|[a-z]{1,3}\d{1,3}|\w+'s|(?:and|or)/\w+|#\d+|\w+\(\w{0,3}\)",
    re.IGNORECASE,
)


def is_talk(value: str) -> bool:
    """Tell whether a value is no value: a common word, a mask, a variable, a placeholder."""
    bare = value.strip().strip(".,;:!?\"'`").casefold()
    return (
        not bare
        or bare in _TALK
        or bool(_MASKED.fullmatch(value.strip()))
        or bool(_REFERENCE.fullmatch(value.strip()))
        or not any(character.isalnum() for character in value)
    )


def is_plain_word(value: str) -> bool:
    """Tell whether a value is one word of letters, perhaps hyphenated."""
    return _WORD.fullmatch(value.strip(".,;:!?")) is not None


def is_stated(value: str, after: str) -> bool:
    """Tell whether "is …" introduces a value: no talk, no measure, no half of a sentence.

    `after` is what follows the value.
    """
    if is_talk(value) or (" " in value.strip() and is_talk(value.split(maxsplit=1)[0])):
        return False
    if value.isdigit():
        return len(value) >= 4 and not _UNIT.match(after.lower())  # noqa: PLR2004
    if is_plain_word(value):
        word = value.strip(".,;:!?").casefold()
        ends_clause = not after.strip(" \t") or after.lstrip(" \t")[0] in ".,;!)\n\r"
        return ends_clause and not _TALK_ENDING.fullmatch(word)
    return not is_identifier(value) and not re.fullmatch(r"\d+[-\u2013]\w+", value)


def is_mixture(value: str, least: int = 5) -> bool:
    """Tell whether a value looks like a secret by itself: letters with digits or signs."""
    core = value.strip(".,;:\"'`()")
    if (
        len(core) < least
        or core.isalpha()
        or not _LETTER.search(core)
        or is_talk(value)
        or is_identifier(core.rstrip("?!"))
    ):
        return False
    if _DIGIT.search(core):
        return True
    # Without a digit a sign must stand inside: "half-open" and "and/or" are words.
    inner = core[1:].rstrip("?!")
    return bool(_STRONG_SIGN.search(inner)) and not re.search(r"[=<>|]", inner)


def is_hard_mixture(value: str, least: int = 6) -> bool:
    """Tell whether a value is a mixture that hardly anything but a password is.

    It has letters, a digit or both cases, and inside or at the end a sign that neither words nor
    identifiers, addresses, paths or code carry.
    """
    core = value.strip(".,;:\"'`()?")
    # Without a digit a sign must stand inside: "Help!!!" and "Scans$" are words.
    signed = core if _DIGIT.search(core) else core.rstrip("!$*")
    return (
        least <= len(core) <= _LONGEST_PASSWORD
        and bool(HARD_SIGN.search(signed, 1))
        and bool(_LETTER.search(core))
        and bool(_DIGIT.search(core) or (core != core.lower() and core != core.upper()))
        and not _CODE_LIKE.search(core)
        and not is_talk(value)
        and not is_identifier(core.rstrip("?!"))
    )


def is_identifier(value: str) -> bool:
    """Tell whether a value is a version, date, size, address, path, GUID or error code."""
    return bool(_IDENTIFIER.fullmatch(value) or _HOST.fullmatch(value))


def is_key(value: str, least: int = 6) -> bool:
    """Tell whether a labelled value can be a key or token."""
    looks_made = _DIGIT.search(value) or len(value) >= _LONG or not is_plain_word(value)
    return (
        len(value) >= least
        and not is_talk(value)
        and bool(looks_made)
        and not re.fullmatch(r"[\d,.]{1,9}", value)
    )


def is_long_key(value: str, least: int = 12) -> bool:
    """Tell whether a value can be a key without any separator before it."""
    core = value.strip(".,;:\"'`()")
    return (
        len(core) >= least  # shorter ones are names
        and bool(_DIGIT.search(core))
        and bool(_LETTER.search(core))
        and not is_identifier(core)
    )


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value stands; `quoted` when quotes say where it ends."""

    start: int
    end: int
    quoted: bool


_QUOTED = re.compile(r"\\?([\"'`])((?:(?!\1)[^\n]){1,400}?)\\?\1")
_CHUNK = re.compile(r"[^\s]{1,8192}")
_NEXT_FIELD = re.compile(
    r";(?:\s|$|[\w .-]{1,40}[:=])|,(?=\s?[\w\"' .-]{1,40}[:=])|</|\\?\"[,}\]]|&&"
    r"|&(?=[a-z_]\w{1,30}=)|\x00"
)
_BLANKS = re.compile(f"{BLANK}+")
_ADDRESS_END = re.compile(r"[&#\"'<>]")


def value_at(plain: str, start: int, *, in_address: bool = False) -> Value | None:
    """Return the value that begins at a position, without what closes a sentence or a field.

    With `in_address` it is part of a query string and ends at "&".
    """
    blanks = _BLANKS.match(plain, start)
    if blanks is not None:
        # A placeholder is a value already, but nobody hides another one behind it.
        start = blanks.end()
        if _NEXT_FIELD.match(plain, start):
            return None
    quoted = _QUOTED.match(plain, start)
    if quoted is not None:
        return Value(*quoted.span(2), quoted=True)
    chunk = _CHUNK.match(plain, start, start + 256)
    if chunk is None:
        return None
    field = _NEXT_FIELD.search(plain, start, start + 256)
    if chunk.end() == start + 256 and (field is None or field.start() >= chunk.end()):
        # A long one, a key perhaps. Only then is more of the text looked at.
        chunk = _CHUNK.match(plain, start) or chunk
        field = None
    begin, end = chunk.span()
    text = chunk[0]
    if len(text) < 64 and is_talk(text):  # noqa: PLR2004 - no talk is longer
        return Value(begin, end, quoted=False)
    if text[0] in "\"'`([" and len(text) > 1:
        begin += 1
    if in_address and (cut := _ADDRESS_END.search(text)):
        end = start + cut.start()
    if field is not None and begin < field.start() < end:
        end = field.start()
    return trimmed(plain, begin, end)


def trimmed(plain: str, begin: int, end: int) -> Value | None:
    """Take off punctuation that belongs to the sentence, and brackets that open outside."""
    while end > begin:
        last, text = plain[end - 1], plain[begin : end - 1]
        opening = _BRACKETS.get(last)
        if last in ".,;\"'`:" or (opening is not None and opening not in text):
            end -= 1
        else:
            return Value(begin, end, quoted=False)
    return None


_BRACKETS = {")": "(", "]": "[", "}": "{", ">": "<"}
