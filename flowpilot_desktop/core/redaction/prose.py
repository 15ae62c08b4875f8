"""Secrets that are known by what is said around them: names, sentences, pairs, tables.

A secret's *name* ("password", "Kennwort", "api_key", "verification code") is looked for first. From
each name the text is read a short way on, and back, for one of the forms in which people and
programs state a value: a colon or equals sign, "is", nothing at all, a quoted or bracketed value,
the next line, a column of a table. How much the value itself must look like a secret depends on
the form; ``values`` decides that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flowpilot_desktop.core.redaction import commands, values
from flowpilot_desktop.core.redaction.reading import Reading

Span = tuple[int, int, str]

# Names. Long words count inside compound names (smtpPassword), short ones only as words.
_LONG = (
    "password|passwort|passwd|kennwort|passphrase|passcode|mot de passe|contrase(?:\u00f1|n\u0303|n)a"
    "|wachtwoord|parola|has[\u0142l]o|senha|palavra-passe|l(?:\u00f6|o\u0308|o)senord|adgangskode"
    "|passord|salasana|jelsz(?:\u00f3|o)|parol\u0103|geslo|lozinka|\u043f\u0430\u0440\u043e\u043b\u044c"
    "|\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2(?: \u03c0\u03c1\u03cc\u03c3\u03b2\u03b1\u03c3\u03b7\u03c2)?"
    "|\u015fifre|\u30d1\u30b9\u30ef\u30fc\u30c9|\u5bc6\u7801|\u5bc6\u78bc|\ube44\ubc00\ubc88\ud638"
    "|p a s s w o r d|p\\.a\\.s\\.s\\.w\\.o\\.r\\.d"
)
_SHORT = "pwd|pw|pass|mdp|heslo|clave|sifre|passwords?|kodeord"
_CODE_WORDS = (
    "verification|security|confirmation|one[- ]time|otp|mfa|2fa|sms|authenticator|authentication"
    "|auth|login|log-?in|sign-?in|text"
)
_NAMES = re.compile(
    r"(?P<cvv>(?<![^\W\d_])(?:cvv2?|cvc2?|cvn|card (?:security|verification) (?:code|number)"
    r"|security code on the (?:card|back)))(?![^\W\d_])"
    r"|(?P<code>(?<![^\W\d_])(?:(?:" + _CODE_WORDS + r")[- ](?:pass)?code|otp"
    r"|best\u00e4tigungscode|sicherheitscode|code de v\u00e9rification|c\u00f3digo de verificaci\u00f3n"
    r"|codice di verifica|verificatiecode|kod weryfikacyjny))(?![^\W\d_])"
    r"|(?P<backup>(?<![^\W\d_])(?:backup|recovery|emergency|scratch)[- ]codes?)(?![^\W\d_])"
    r"|(?P<pin>(?<![^\W\d_])(?:pin(?:[- ]?(?:code|number))?|puk2?|(?:alarm|safe|door|gate|keypad"
    r"|entry|lock|disarm)[- ](?:code|pin)))(?![^\W\d_])"
    r"|(?P<seed>(?<![^\W\d_])(?:(?:totp|otp|mfa|2fa|authenticator|hotp)[- _](?:secret|seed|key"
    r"|setup key)|(?:authenticator |mfa |2fa )?setup key))(?![^\W\d_])"
    r"|(?P<licence>(?:licen[cs]e|product|activation|cd|lizenz|produkt)[-_ ]?(?:key|code"
    r"|schl\u00fcssel)|serial(?: number)? ?/ ?licen[cs]e key)(?![^\W\d_])"
    r"|(?P<recovery>(?:recovery|wiederherstellungs)[-_ ]?(?:key|schl\u00fcssel))(?![^\W\d_])"
    r"|(?P<content>key content|schl\u00fcsselinhalt|contenu de la cl\u00e9|contenido de la clave"
    r"|contenuto chiave|conte\u00fado da chave|sleutelinhoud|keymaterial)(?![^\W\d_])"
    r"|(?P<wifi>(?<![^\W\d_])(?:(?:wi-?fi|wlan|wpa[23]?|wep|ssid)[-_ ]?(?:key|pass(?:word|phrase)?"
    r"|passwort|psk|pw|pwd|schl\u00fcssel)|(?:wi-?fi|wlan|wpa[23]?) psk|psk(?!secret)))(?![^\W\d_])"
    r"|(?P<community>(?:snmp[- ])?community(?:[- ]string)?)(?![^\W\d_])"
    r"|(?P<api>(?:api|app|subscription|secret[-_ ]?access|access|account|auth|integration|agent"
    r"|encryption|master|secret|signing|private|public|license|host)[-_ ]?key|api[-_ ]?(?:secret"
    r"|schl\u00fcssel|pass)|(?<![^\W\d_])apikey|x-api-key|datto api public)(?:[-_]?id)?(?![^\W\d_])"
    r"|(?P<token>(?:(?:access|auth|refresh|id|install|api|bearer|session|security|personal access"
    r"|registration|enrol?lment|deployment|sas|device)[-_ ]?)?(?<!un)token)(?![^\W\d_])"
    r"|(?P<phrase>pass-?phrase)(?![^\W\d_])"
    r"|(?P<secret>(?:client|shared|app|radius|ipsec|vpn|oauth|webhook|signing|jwt|consumer|hmac"
    r"|preshared|pre-shared)?[-_ ]?(?:signing )?secret|pre-?shared[-_ ]?key|psksecret"
    r"|isakmp key)(?![^\W\d_])"
    r"|(?P<password>(?:" + _LONG + r")|(?<![^\W\d_])(?:" + _SHORT + r")|(?:access|zugangs)[- ]code)"
    r"(?![^\W\d_])"
)  # fmt: skip
# Every name contains one of these.
_CORES = (
    "pass", "pw", "kennwort", "mdp", "contrase", "clave", "wachtwoord", "parol", "haslo",
    "has\u0142o", "senha", "senord", "adgangskode", "kodeord", "salasana", "jelsz", "geslo", "lozinka",
    "heslo", "\u043f\u0430\u0440\u043e\u043b\u044c", "\u03ba\u03c9\u03b4\u03b9\u03ba",
    "\u015fifre", "sifre", "\u30d1\u30b9\u30ef\u30fc\u30c9", "\u5bc6\u7801", "\u5bc6\u78bc",
    "\ube44\ubc00\ubc88\ud638", "p a s s", "p.a.s.s", "code", "c\u00f3digo", "codice", "kod wery",
    "otp", "pin", "puk", "cvv", "cvc", "cvn", "card ", "key", "schl\u00fcssel", "cl\u00e9", "chiave",
    "chave", "sleutel", "secret", "token", "community", "psk", "datto api",
)  # fmt: skip
_KINDS = {
    "password": "password",
    "phrase": "passphrase",
    "pin": "PIN",
    "code": "one-time code",
    "backup": "one-time code",
    "cvv": "card code",
    "seed": "one-time seed",
    "licence": "licence key",
    "recovery": "recovery key",
    "content": "Wi-Fi key",
    "wifi": "Wi-Fi key",
    "community": "SNMP community",
    "api": "API key",
    "token": "token",
    "secret": "secret",
}

# Between a name and its value
_QUALIFIER = (
    r"(?:\\?[\"'])?\d{0,2}(?:[_-]?(?:new|old|temp|neu|alt|prod|test|live|dev|value|plain|text))?"
    r"(?:\\?[\"'])?[ \t]{0,8}(?:[(\[][^)\]\n]{0,40}[)\]][ \t]{0,4})?"
)
_EQUALS = r"[ \t]{0,40}(?:::?=?|=>?|->|\u2192|\u21d2|=>)[ \t]{0,40}"
_DASH = r"[ \t]{1,4}[-|][ \t]{1,4}|[ \t]?\t[ \t]?"
_XML = (
    r">\s{0,40}(?:<(?:value|string|plaintext)>)?|[\"']\s{1,8}value\s?=\s?|[ \t]?/?>\s{0,4}<string>"
)
_SET = (
    r"(?:(?:has|had|have) been |was |is |got |gets |to be )?(?:just |now |back )?(?:(?:re)?set|changed"
    r"|updated|ge\u00e4ndert|zur\u00fcckgesetzt)(?: back)? (?:to|auf|in|zu)"
)
_IS = (
    r"(?:is|was|are|will be|should be|must be|ist|war|lautet|lautete|est|\u00e9tait|\u00e8|\u00e9|era"
    r"|\u00e4r|je|jest|to be|remains|stays|called|equals|being|=)(?: (?:now|still|currently|just|then"
    r"|probably|again|set to|simply|nu|jetzt|noch|maintenant|ahora|adesso|nog|teraz|only|back to"
    r"|changed to|reset to|also))?"
)
_LOOSELY_IS = r"(?:to|on|es|er|fue|og|nu|auf|stands|as)(?: nu)?"
_PREPOSITION = (
    r"(?:for|on|of|to|at|from|in|by|behind|under|vom|von|f\u00fcr|im|in|auf|zum|zur|des|der|du|de|del"
    r"|da|do|dos|das|di|della|pour|per|para|van|voor|op|av|f\u00f6r|til|na|\u043e\u0442"
    r"|\u0434\u043b\u044f|au|sur|nueva?|nouveau|neu|neues)"
)
_QUALIFIER_ALONE = re.compile(_QUALIFIER)
_STRICT_TAIL = re.compile(
    _QUALIFIER + r"[^\n:=;.!?\"<>\u2192\x00]{0,70}[:=\u2192]" + r"[ \t]{0,40}"
)
_STRONG = re.compile(_QUALIFIER + rf"(?:{_EQUALS}|{_XML})(?:e['\"]|@)?")
_DASHED = re.compile(_QUALIFIER + rf"(?:{_DASH}|,\s{{0,4}}(?=[\"']))")
_STATED = re.compile(
    _QUALIFIER + r"(?:[ \t]{1,4}|, )?(?:(?P<set>" + _SET + r")|(?P<is>" + _IS + r")|(?P<loose>"
    + _LOOSELY_IS + r"))[ \t]*:?[ \t\n]{1,4}"
)  # fmt: skip
_STATED_FAR = re.compile(
    _QUALIFIER + r"[ \t]{0,4}" + _PREPOSITION + r"[ \t][^\n:=;!?\"<>\x00]{1,60}?[ \t](?:(?P<set>"
    + _SET + r")|(?P<is>" + _IS + r"))[ \t]*:?[ \t]{1,4}"
)  # fmt: skip
_BARE = re.compile(_QUALIFIER + r"[ \t]{1,4}(?:[0579] |enc )?")
_NEXT_LINE = re.compile(r"(?P<colon>[ \t]*:)?[ \t\r]*(?:\n[ \t\r]*){1,3}")

# A value
_QUOTED = re.compile(r"\\?([\"'`])((?:(?!\1)[^\n]){1,400}?)\\?\1")
_CHUNK = re.compile(r"[^\s]{1,8192}")
_REST = re.compile(r"[^\n]{1,400}")
_PHRASE = re.compile(r"[^\n.,;\"()\x00]{1,200}")
_NEXT_FIELD = re.compile(
    r";(?:\s|$|[\w .-]{1,40}=)|,(?=\s?[\w\"' .-]{1,40}[:=])|[<]/|\\?\"[,}\]]|&&|\x00"
)
_DIGITS = {
    "pin": re.compile(r"\d[\d-]{2,11}[#*]?(?![\w])"),
    "code": re.compile(r"(?:\d{3}[ -]?\d{3,5}|\d{4,8}|[a-z]-\d{4,8})(?![\w])"),
    "cvv": re.compile(r"\d{3,4}(?![\w])"),
}
_SEED = re.compile(r"(?:[a-z2-7]{16,128}|[a-z2-7]{4}(?:[ -][a-z2-7]{4}){3,31})(?![a-z0-9])")
_LICENCE = re.compile(
    r"(?=[a-z0-9-]{0,60}\d)[a-z0-9]{2,12}(?:-[a-z0-9]{2,12}){1,9}(?![\w-])|(?=[a-z]{0,60}\d)[a-z0-9]{10,64}(?![\w-])"
)
_BACKUP = re.compile(
    r"(?<![\w-])(?=[a-z0-9-]{0,20}\d)[a-z0-9]{4,10}(?:-[a-z0-9]{3,10}){0,4}(?![\w-])"
)
_COMMUNITY_DEFAULTS = frozenset(
    {"public", "string", "strings", "name", "ro", "rw", "manager", "edition", "college"}
)


@dataclass(frozen=True, slots=True)
class _Value:
    start: int
    end: int
    quoted: bool


def found(reading: Reading) -> Iterator[Span]:
    """Yield start, end and kind of each secret."""
    yield from commands.found(reading)
    plain, folded = reading.plain, reading.folded
    reached = 0
    for name in _names(reading):
        group = name.lastgroup or "password"
        start, end = name.span()
        if start < reached:
            continue
        for span in _around(plain, folded, group, start, end):
            reached = max(reached, span[1]) if span[0] >= end else reached
            yield span
    yield from _pairs(plain, folded)


def _names(reading: Reading) -> Iterator[re.Match[str]]:
    for low, high in reading.windows(_CORES, 40, 60):
        yield from _NAMES.finditer(reading.folded, low, high)


def secret_name(name: str) -> str | None:
    """Return the kind of secret that a field of this name holds, or None."""
    folded = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip()
    if folded in ("authorization", "cookie", "set-cookie"):
        return "token"
    match = None
    for match in _NAMES.finditer(folded):
        pass
    if match is None or not re.fullmatch(
        r"\d{0,2}(?:[_-]?(?:new|old|temp|value|plain|text))?", folded[match.end() :]
    ):
        return None
    return _KINDS[match.lastgroup or "password"]


def is_secret_value(value: str) -> bool:
    """Tell whether what stands under a secret's name is a value at all."""
    return not values.is_talk(value)


def _around(plain: str, folded: str, group: str, start: int, end: int) -> Iterator[Span]:
    """Yield the secrets that one name gives away."""
    kind = _KINDS[group]
    if group == "pin" and folded.startswith("puk", start):
        kind = "PIN"
    if group in _DIGITS or group in ("seed", "licence", "backup", "recovery", "community"):
        yield from _special(plain, folded, group, kind, start, end)
        return
    if group in ("phrase", "content"):
        yield from _phrase(plain, folded, kind, end)
        return
    if group == "password" and _is_wireless(folded, start):
        kind = "Wi-Fi key"
    spans = list(_forward(plain, folded, group, kind, start, end))
    yield from spans
    if group == "password":
        yield from _columns(plain, folded, start, end)
        if not spans:
            yield from _backward(plain, folded, kind, start)


def _is_wireless(folded: str, start: int) -> bool:
    before = folded[max(0, start - 24) : start].rpartition("\n")[2]
    return re.search(r"wi-?fi|wlan|ssid|wireless|hotspot", before) is not None


# Forward


def _forward(
    plain: str, folded: str, group: str, kind: str, start: int, end: int
) -> Iterator[Span]:
    is_password = group in ("password", "wifi")
    weak_word = folded[start:end] == "pass"
    in_address = folded[start - 1 : start] in ("?", "&") and folded[end : end + 1] == "="

    def ok_strong(value: str, _: str) -> bool:
        if weak_word:
            return values.is_mixture(value)
        if is_password:
            return len(value) > 1 and not values.is_talk(value)
        return values.is_key(value)

    def ok_stated(value: str, after: str) -> bool:
        if is_password:
            return values.is_stated(value, after)
        return values.is_key(value) and values.is_mixture(value)

    def ok_mixture(value: str, _: str) -> bool:
        return values.is_mixture(value)

    def ok_bare(value: str, after: str) -> bool:
        if is_password:
            return values.is_mixture(value) or (
                kind == "Wi-Fi key" and value.isdigit() and len(value) >= 8  # noqa: PLR2004
            )
        if group == "secret" or folded.startswith("datto", start):
            return values.is_mixture(value) or values.is_long_key(value)
        return values.is_long_key(value)

    spoken: tuple[tuple[re.Pattern[str], Callable[[str, str], bool]], ...] = (
        (_STATED, ok_stated),
        (_STRICT_TAIL, ok_mixture),
        (_STATED_FAR, ok_stated),
        (_BARE, ok_bare),
    )
    written = ((_STRONG, ok_strong), (_DASHED, ok_mixture))
    qualifier = _QUALIFIER_ALONE.match(folded, end)
    follows = qualifier.end() if qualifier else end
    in_words = folded[follows : follows + 1].isalpha()
    for pattern, accepts in spoken if in_words else (*written, *spoken):
        separator = pattern.match(folded, end)
        if separator is None:
            continue
        value = _value(plain, separator.end(), in_address=in_address)
        if value is None:
            continue
        text = plain[value.start : value.end]
        after = plain[value.end : value.end + 24]
        if pattern is _STATED and separator["loose"]:
            accepted = ok_mixture(text, after)
        elif pattern is _STATED and separator["set"]:
            accepted = values.is_stated(text, after) and (is_password or values.is_key(text))
        else:
            accepted = accepts(text, after)
        if value.quoted and not accepted and is_password and pattern is not _STRICT_TAIL:
            accepted = " " in text and pattern is not _BARE and _is_quoted_phrase(text)
        if accepted:
            yield value.start, value.end, kind
            return
    if is_password:
        yield from _on_next_line(plain, folded, kind, end)


def _is_quoted_phrase(text: str) -> bool:
    words = text.split()
    return any(character.isdigit() for character in text) and not values.is_talk(words[0])


def _on_next_line(plain: str, folded: str, kind: str, end: int) -> Iterator[Span]:
    gap = _NEXT_LINE.match(folded, end)
    if gap is None:
        return
    line = _REST.match(plain, gap.end())
    if line is None:
        return
    text = line[0].strip()
    if text and " " not in text and "\t" not in text and values.is_mixture(text):
        begin = line.start() + line[0].index(text)
        yield begin, begin + len(text), kind


def _value(plain: str, start: int, *, in_address: bool = False) -> _Value | None:
    """Return the value that begins at a position, without what closes a sentence or a field."""
    quoted = _QUOTED.match(plain, start)
    if quoted is not None:
        return _Value(*quoted.span(2), quoted=True)
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
    if len(text) < 64 and values.is_talk(text):  # noqa: PLR2004 - no talk is longer
        return _Value(begin, end, quoted=False)
    if text[0] in "\"'`([" and len(text) > 1:
        begin += 1
    if in_address and (cut := re.search(r"[&#\"'<>]", text)):
        end = start + cut.start()
    if field is not None and begin < field.start() < end:
        end = field.start()
    return _trimmed(plain, begin, end)


def _trimmed(plain: str, begin: int, end: int) -> _Value | None:
    """Take off punctuation that belongs to the sentence, and brackets that open outside."""
    while end > begin:
        last, text = plain[end - 1], plain[begin : end - 1]
        if (
            last in ".,;\"'`:"
            or (last == ")" and "(" not in text)
            or (last == "]" and "[" not in text)
            or (last == "}" and "{" not in text)
            or (last == ">" and "<" not in text)
        ):
            end -= 1
        else:
            return _Value(begin, end, quoted=False)
    return None


# Names with values of their own form


def _special(
    plain: str, folded: str, group: str, kind: str, start: int, end: int
) -> Iterator[Span]:
    if group == "community":
        yield from _community(plain, folded, end)
        return
    form = {"seed": _SEED, "licence": _LICENCE, "recovery": _LICENCE}.get(group) or _DIGITS.get(
        group
    )
    if group == "backup":
        line = _REST.match(folded, end)
        for match in _BACKUP.finditer(folded, end, line.end() if line else end):
            yield *match.span(), kind
        return
    assert form is not None
    patterns = [_STRONG, _STATED, _STRICT_TAIL, _STATED_FAR]
    if group in ("code", "cvv", "seed", "licence", "recovery") or folded.startswith("puk", start):
        patterns.append(_BARE)
    for pattern in patterns:
        separator = pattern.match(folded, end)
        if separator is None:
            continue
        at = separator.end()
        if folded[at : at + 1] in ("'", '"'):
            at += 1
        match = form.match(folded, at)
        if match is not None and not values.is_talk(match[0]) and not _is_measure(folded, match):
            yield *match.span(), kind
            return
    if group == "pin" and folded.startswith(("pin", "voicemail"), start):
        return
    if group == "code":
        before = _CODE_BEFORE.search(folded, max(0, start - 60), start)
        if before is not None:
            yield *before.span(1), kind


_CODE_BEFORE = re.compile(
    r"(?<![\w-])(?:g-)?(\d{3}[ -]?\d{3,5}|\d{4,8})[ \t]+(?:is|as|was|ist)[ \t]+(?:[^\W\d_]+[ \t]+){0,4}\Z"
)
_MEASURE = re.compile(
    r"\W?(?:char|digits?\b|zeichen|days?|times|attempts?|minutes?|is not|errors?)"
)


def _is_measure(folded: str, match: re.Match[str]) -> bool:
    return _MEASURE.match(folded, match.end()) is not None


def _community(plain: str, folded: str, end: int) -> Iterator[Span]:
    for pattern in (_STRONG, _STATED, _STRICT_TAIL, _BARE):
        separator = pattern.match(folded, end)
        value = _value(plain, separator.end()) if separator else None
        if value is None:
            continue
        text = plain[value.start : value.end]
        bare = pattern in (_BARE, _STRICT_TAIL)
        if (
            text.lower() not in _COMMUNITY_DEFAULTS
            and not values.is_talk(text)
            and (values.is_mixture(text, 4) if bare else not values.is_plain_word(text))
        ):
            yield value.start, value.end, "SNMP community"
            return


def _phrase(plain: str, folded: str, kind: str, end: int) -> Iterator[Span]:
    """Yield a value of several words, to the end of the line or sentence."""
    for pattern in (_STRONG, _STATED, _STRICT_TAIL):
        separator = pattern.match(folded, end)
        if separator is None:
            continue
        quoted = _QUOTED.match(plain, separator.end())
        if quoted is not None:
            span = quoted.span(2)
        else:
            rest = (_REST if kind == "Wi-Fi key" else _PHRASE).match(plain, separator.end())
            if rest is None:
                continue
            text = rest[0]
            if (cut := text.find("</")) >= 0:
                text = text[:cut]
            span = rest.start(), rest.start() + len(text.rstrip())
        text = plain[span[0] : span[1]]
        words = text.split()
        # Three words in quotes are no remark such as "not accepted".
        is_remark = quoted is None or len(words) < 3  # noqa: PLR2004
        if not words or "\x00" in text or values.is_talk(text):
            continue
        if not (is_remark and values.is_talk(words[0])):
            yield *span, kind
            return


# Backward: "Summer2024! is the password", "tried Password123 as password"

_BACK = re.compile(
    r"(?<!\S)(\S{3,128})[ \t]+(?:as|is|was|for|als|ist|comme|como|come)[ \t]+(?:(?:a|an|the|his|her|their|my|our"
    r"|your|new|old|temp|temporary|initial|local|default|admin|current|das|ein|neue?s?|le|la|its"
    r"|user|wifi|wi-fi|root)[ \t]+){0,3}\Z"
)
_BACK_QUOTED = re.compile(
    r"\"([^\"\n]{3,80})\"[ \t]+(?:is|was|as|ist)[ \t]+(?:[^\W\d_]+[ \t]+){0,3}\Z"
)


def _backward(plain: str, folded: str, kind: str, start: int) -> Iterator[Span]:
    low = max(0, start - 110)
    newline = folded.rfind("\n", low, start)
    low = newline + 1 if newline >= 0 else low
    window = folded[low:start]
    if (
        " as " not in window
        and " is " not in window
        and not re.search(r" (?:was|for|als|ist|comme|como|come) ", window)
    ):
        return
    quoted = _BACK_QUOTED.search(window)
    if quoted is not None and not values.is_talk(quoted[1].split()[0]):
        yield low + quoted.start(1), low + quoted.end(1), kind
        return
    match = _BACK.search(window)
    if match is not None:
        value = _trimmed(plain, low + match.start(1), low + match.end(1))
        if value is not None:
            begin = value.start + (plain[value.start] in "\"'`(")
            if values.is_mixture(plain[begin : value.end]):
                yield begin, value.end, kind


# Columns of a table whose head says "password"

_DELIMITERS = ("\t", ",", ";", "|")
_CELL_END = re.compile(r"[\"']?[ \t\r]{0,20}(?:[\n,;|\t]|  )")
_ROW_LIMIT = 400


def _columns(plain: str, folded: str, start: int, end: int) -> Iterator[Span]:
    if _CELL_END.match(folded, end) is None:
        return
    line_start = folded.rfind("\n", max(0, start - _ROW_LIMIT), start) + 1
    if line_start == 0 and start > _ROW_LIMIT:
        return
    line_end = folded.find("\n", end, end + _ROW_LIMIT)
    if line_end < 0:
        return
    head = folded[line_start:line_end]
    delimiter = next((mark for mark in _DELIMITERS if mark in head), None)
    splitter = re.compile(re.escape(delimiter) if delimiter else r"[ \t]{2,}")
    cells = _cells(splitter, head, line_start)
    column = next((i for i, (a, b) in enumerate(cells) if a <= start and end <= b), None)
    if (
        column is None
        or len(cells) < 2  # noqa: PLR2004 - one cell is no table
        or folded[cells[column][0] : cells[column][1]].strip(" \t\"'") != folded[start:end]
        or any(b - a > 40 or re.search(r"[:=]|\d{3}", folded[a:b]) for a, b in cells)  # noqa: PLR2004
    ):
        return
    position = line_end + 1
    while position < len(plain):
        stop = plain.find("\n", position, position + 4 * _ROW_LIMIT)
        stop = stop if stop >= 0 else min(len(plain), position + 4 * _ROW_LIMIT)
        row = _cells(splitter, plain[position:stop], position)
        if len(row) != len(cells):
            return
        a, b = row[column]
        text = plain[a:b].strip(" \t\"'\r")
        if _NAMES.fullmatch(text.lower()):
            return
        if text and not values.is_talk(text):
            begin = a + plain[a:b].index(text)
            yield begin, begin + len(text), "password"
        position = stop + 1


def _cells(splitter: re.Pattern[str], line: str, offset: int) -> list[tuple[int, int]]:
    cells: list[tuple[int, int]] = []
    start = len(line) - len(line.lstrip())
    for gap in splitter.finditer(line.rstrip(), start):
        cells.append((offset + start, offset + gap.start()))
        start = gap.end()
    cells.append((offset + start, offset + len(line.rstrip())))
    return cells


# Pairs: "login jdoe / Summer2024!", "root/calvin123", "sign in with x@y and Secret!1"

_PAIR_WORD = re.compile(
    r"(?<![^\W\d_])(?:log(?:ged|s)?[- ]?[io]n(?:s|to)?|sign(?:ed|s)?[- ]?in|creds?|credentials?|account|user(?:name)?"
    r"|anmeldung|anmeldedaten|zugangsdaten|zugang|benutzer|identifiants?|connexion|usuario|utente|credenciales"
    r"|gebruiker|inloggegevens|wi-?fi|wlan|ssid|rdp|vpn|ssh|web ?gui|admin page)(?![^\W\d_])"
)
_PAIR = re.compile(
    r"[ \t]{0,4}(?:[:=(]|is|are|as|with|using|via|mit|for [\w.-]{1,40}:?|for [\w.-]{1,40} (?:is|are)|data:)?[ \t]{0,4}"
    r"(?:[:(][ \t]{0,2})?[\"']?(?P<user>[\w.@\\+$-]{1,64})[\"']?"
    r"(?P<gap>[ \t]{1,3}[/|][ \t]{1,3}|[/|]|:[ \t]?|,? (?:and|with|using|und|mit|et|y|e|con|avec|en|met)(?: the)?(?: password| pw| pass)? "
    r"|[ \t]-[ \t]|,[ \t]|[ \t]{1,4}(?:pw|pass|pwd|password)[ \t]{1,2})"
)
_KNOWN_USER = re.compile(
    r"(?<![\w./\\@-])(?:root|admin|administrator|sa|guest|support|pi|ubnt|cisco|user|ubuntu|sysadmin|manager"
    r"|operator|oracle|postgres|localadmin|tadmin|svc[_-]\w{1,24})(?:[ ]{0,2}/[ ]{0,2}|:)(?=\S)"
)


_CHANGE = re.compile(r"(?<![^\W\d_])(?:(?:re)?set|changed?)(?: [\w.-]{1,24}){0,3}? to:? ")


def _pairs(plain: str, folded: str) -> Iterator[Span]:
    for word in _PAIR_WORD.finditer(folded):
        pair = _PAIR.match(folded, word.end())
        if pair is None:
            continue
        value = _value(plain, pair.end())
        if value is None:
            continue
        text = plain[value.start : value.end]
        kind = "Wi-Fi key" if word[0].startswith(("wi", "wlan", "ssid")) else "password"
        spoken = pair["gap"].strip(" ,\t") not in ("/", "|", ":")
        if values.is_hard_mixture(text) if spoken else _is_pair_value(text):
            yield value.start, value.end, kind
    for change in _CHANGE.finditer(folded):
        value = _value(plain, change.end())
        if value is not None and values.is_hard_mixture(plain[value.start : value.end]):
            yield value.start, value.end, "password"
    for user in _KNOWN_USER.finditer(folded):
        value = _value(plain, user.end())
        if value is not None and _is_pair_value(plain[value.start : value.end]):
            yield value.start, value.end, "password"


def _is_pair_value(text: str) -> bool:
    return (
        values.is_mixture(text)
        and text[0] != ":"
        and "/" not in text.strip("/")
        and not text.startswith("/")
    )
