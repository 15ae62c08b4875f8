"""Secrets that are known by their own form, whatever is said around them.

Every pattern begins with a literal or a tight class and repeats within bounds, so the time grows
with the text and no faster. Patterns with a telling literal run only on texts that contain it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from flowpilot_desktop.core.redaction.reading import Reading, Span
from flowpilot_desktop.core.redaction.values import is_talk


@dataclass(frozen=True, slots=True)
class _Shape:
    """One form: its kind, its pattern, and the lower-case literals one of which it needs.

    The secret is group 1 where there is one. `check` sees the secret.
    """

    kind: str
    pattern: re.Pattern[str]
    literals: tuple[str, ...]
    check: Callable[[str], bool] | None = None


_START = r"(?<![A-Za-z0-9_-])"


def _prefixed(kind: str, prefix: str, rest: str, *literals: str) -> _Shape:
    return _Shape(kind, re.compile(f"{_START}(?:{prefix}){rest}"), literals or (prefix.lower(),))


def _is_basic(value: str) -> bool:
    """Tell whether a value is the base64 of "user:password"."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded


def _is_bearer(value: str) -> bool:
    return any(map(str.isdigit, value)) and not is_talk(value)


def _has_digit_and_letter(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _not_talk(value: str) -> bool:
    return not is_talk(value)


_I = re.IGNORECASE
_SHAPES = (
    # API keys and tokens with a prefix of their own
    _prefixed("API key", "AKIA|ASIA", "[A-Z0-9]{16}(?![A-Za-z0-9])", "akia", "asia"),
    _prefixed("API key", "AIza", r"[\w-]{30,45}"),
    _prefixed("API key", "sk-", r"[\w-]{20,}"),
    _prefixed("API key", "(?:sk|rk|pk)_(?:live|test)_", "[A-Za-z0-9]{10,}", "_live_", "_test_"),
    _prefixed("API key", r"SG\.", r"[\w-]{10,100}\.[\w-]{10,100}", "sg."),
    _prefixed("API key", "key-", "[0-9a-z]{32}(?![0-9a-z])"),
    _prefixed("API key", "hf_|gsk_|r8_|nvapi-|pplx-|xai-", "[A-Za-z0-9_-]{30,}", "hf_", "gsk_",
              "r8_", "nvapi-", "pplx-", "xai-"),
    _prefixed("API key", "xkeysib-|NRAK-|PMAK-|lin_api_|dapi|SK(?=[0-9a-f]{32})",
              "[A-Za-z0-9-]{24,}",
              "xkeysib-", "nrak-", "pmak-", "lin_api_", "dapi", "sk"),
    _prefixed("token", "gh[pousr]_", "[A-Za-z0-9]{20,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _prefixed("token", "github_pat_", r"\w{22,}"),
    _prefixed("token", "gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-", r"[\w.-]{15,}", "gl"),
    _prefixed("token", "xox[abeoprs]-|xapp-", "[A-Za-z0-9-]{10,}", "xox", "xapp-"),
    _prefixed("token", "npm_", "[A-Za-z0-9]{30,}"),
    _prefixed("token", "pypi-", r"[\w-]{20,}"),
    _prefixed("token", r"ya29\.|1//0", r"[\w-]{20,}", "ya29.", "1//0"),
    _prefixed("token", "hvs\\.|do[op]_v1_|dckr_pat_|sbp_|glsa_|sntrys_|tskey-|CFPAT-|ATATT3|ntn_"
              "|shp(?:at|ca|pa|ss)_|EAA[A-Z]|sq0(?:atp|csp)-", r"[\w=.-]{20,}", "hvs.", "_v1_",
              "dckr_pat_", "sbp_", "glsa_", "sntrys_", "tskey-", "cfpat-", "atatt3", "ntn_", "shp",
              "eaa", "sq0"),
    _Shape("token", re.compile(r"(?<!\d)\d{8,10}:AA[\w-]{30,}"), (":aa",)),
    _Shape("token", re.compile(r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)*"), ("eyj",)),
    _Shape("token", re.compile(r"hooks\.slack\.com/(?:services|workflows)/([^\s\"'<>]{8,300})", _I),
           ("hooks.slack.com",)),
    _Shape("token", re.compile(r"discord(?:app)?\.com/api/webhooks/\d+/([\w-]{20,200})", _I),
           ("/api/webhooks/",)),
    _Shape("token", re.compile(r"webhook\.office\.com/webhookb2/([^\s\"'<>]{20,400})", _I),
           ("webhook.office.com",)),
    _prefixed("secret", "GOCSPX-|whsec_", r"[\w-]{16,}", "gocspx-", "whsec_"),
    _Shape("secret", re.compile(r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{20,60}"), ("q~",)),
    _prefixed("private key", "AGE-SECRET-KEY-1", "[A-Za-z0-9]{40,}"),
    # Headers
    _Shape("token", re.compile(r"\b(?:bearer|token)[ \t]+[\"']?([\w.~+/=:-]{12,})", _I),
           ("bearer", "token"), _is_bearer),
    _Shape("token", re.compile(r"\bbasic[ \t]+([a-z0-9+/]{8,2000}={0,2})", _I),
           ("basic",), _is_basic),
    _Shape("token", re.compile(
        r"authorization[\"']?[ \t]*[:=][ \t]*[\"']?(?:(?:basic|bearer|digest|negotiate|ntlm|token"
        r"|apikey|sso-key)[ \t]+)?([\w.~+/=:-]{8,})", _I), ("authorization",), _is_bearer),
    # Connection strings and addresses
    _Shape("connection key", re.compile(
        r"(?:accountkey|sharedaccess(?:key|signature)|sharedsecretvalue|primarykey|masterkey)"
        r"[ \t]*=[ \t]*[\"']?([^\s;\"']{12,2000})", _I), ("key=", "value=", "signature=", "key =")),
    _Shape("connection key", re.compile(r"[?&;]sig(?:nature)?=([\w%+/=.~-]{16,500})", _I),
           ("sig",)),
    _Shape("token", re.compile(
        r"[?&](?:code|ticket|t|st|session|sid|auth|k|hash|otp|nonce|samlresponse)="
        r"([^\s&#\"'<>]{16,4000})", _I), ("=",), _has_digit_and_letter),
    _Shape("password", re.compile(r"://[^\s/:@?#\"'<>]{0,128}:([^\s/\"'<>]{1,256})@(?=[\w.\[%-])"),
           ("://",), _not_talk),
    # Keys that are blocks of their own
    _Shape("private key", re.compile(
        r"\b(?:privatekey|presharedkey)[ \t]*=[ \t]*([a-z0-9+/]{40,44}={0,2})", _I),
        ("privatekey", "presharedkey")),
    _Shape("private key", re.compile(r"\bprivate-(?:mac|hash):[ \t]*([0-9a-f]{8,128})", _I),
           ("private-mac", "private-hash")),
    _Shape("recovery key", re.compile(r"(?<![\d-])\d{6}(?:[- \t]{1,3}\d{6}){7}(?![\d-])"), ()),
    _Shape("licence key", re.compile(
        r"(?<![A-Za-z0-9-])(?=[A-Z0-9-]{0,28}[A-Z])[A-Z0-9]{5}(?:-[A-Z0-9]{5}){4}(?![A-Za-z0-9-])"),
        ("-",), _has_digit_and_letter),
    # Hashes of passwords, which a dictionary opens; hashes of files have no such form
    _Shape("password hash", re.compile(r"(?<![0-9a-f])[0-9a-f]{32}:[0-9a-f]{32}(?![0-9a-f])", _I),
           (":",)),
    _Shape("password hash", re.compile(
        r"::[\w.-]{0,64}:([0-9a-f]{16}:[0-9a-f]{32}:[0-9a-f]{16,4000}|[0-9a-f]{48}:[0-9a-f]{48}:"
        r"[0-9a-f]{16})", _I), ("::",)),
    _Shape("password hash", re.compile(
        r"\$(?:1|2[abxy]?|5|6|7|y|gy|sha1|apr1|argon2(?:id|i|d)|pbkdf2[\w-]{0,16}|krb5\w{2,12}"
        r"|dcc2|bcrypt[\w-]{0,16}|scrypt|[ph]|8|9|14)\$[^\s:\"'<>]{8,8000}", _I), ("$",)),
    _Shape("password hash", re.compile(
        r"\{(?:ssha\d{0,3}|sha\d{0,3}|smd5|md5|crypt|pbkdf2[\w-]{0,16})\}([a-z0-9+/=$.]{16,400})",
        _I), ("{s", "{md5", "{crypt", "{pbkdf2")),
    _Shape("password hash", re.compile(r"(?<![\w*])\*[0-9A-F]{40}(?![0-9A-Fa-f])"), ("*",)),
    _Shape("password hash", re.compile(
        r"\b(?:ntlm|nthash|nt|lmhash|lm|krbtgt|rc4_hmac\w{0,8})\b[^\n]{0,40}?(?<![0-9a-f])"
        r"([0-9a-f]{32})(?![0-9a-f])", _I), ("ntlm", "hash", "nt ", "lm ", "krbtgt", "rc4_hmac")),
)  # fmt: skip


def _matches(shape: _Shape, reading: Reading) -> Iterator[re.Match[str]]:
    if not shape.literals:
        yield from shape.pattern.finditer(reading.plain)
        return
    for low, high in reading.windows(shape.literals, 400, 10_000):
        yield from shape.pattern.finditer(reading.plain, low, high)


def found(reading: Reading) -> Iterator[Span]:
    """Yield start, end and kind of each secret."""
    plain, folded = reading.plain, reading.folded
    for shape in _SHAPES:
        for match in _matches(shape, reading):
            group = 1 if shape.pattern.groups else 0
            if shape.check is None or shape.check(match[group]):
                yield *match.span(group), shape.kind
    yield from _private_keys(plain, folded)
    yield from _cookies(plain, folded)
    yield from _cards(plain, folded)
    yield from _social_security_numbers(folded)
    yield from _bank_accounts(folded)


# Private keys

_KEY_HEADER = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", _I)
_KEY_LINE = re.compile(
    r"(?:\\n|[ \t>|#*]{0,8})(?:[A-Za-z0-9+/=\\]{1,4096}|[A-Za-z][A-Za-z-]{2,20}: [^\n]{0,100})?"
    r"[ \t\r]{0,4}(?:\n|\Z)"
)
_PUTTY = re.compile(r"private-lines:[ \t]*(\d{1,3})[ \t\r]*\n", _I)

_PUTTY_LINE = re.compile(r"[ \t>|]{0,8}([A-Za-z0-9+/=]{1,200})[ \t\r]{0,4}(?:\n|\Z)")


def _private_keys(plain: str, folded: str) -> Iterator[Span]:
    """Yield PEM, OpenSSH and PGP keys, whole or cut off, and the private part of PuTTY's."""
    headers = list(_KEY_HEADER.finditer(plain)) if "private key" in folded else []
    for header, following in zip_longest(headers, headers[1:]):
        limit = following.start() if following else len(plain)
        end = plain.find("-----END", header.end(), min(limit, header.end() + 65_536))
        if end >= 0:
            close = plain.find("-----", end + 8, end + 80)
            yield header.start(), close + 5 if close >= 0 else end + 8, "private key"
            continue
        end = header.end()
        if plain.startswith("\n", end) or plain.startswith("\r\n", end):
            end = plain.index("\n", end) + 1
            while end < limit and (line := _KEY_LINE.match(plain, end, limit)) and line[0]:
                end = line.end()
        else:
            line = re.compile(r"[A-Za-z0-9+/=\\ ]*").match(plain, end, limit)
            end = line.end() if line else end
        yield (
            header.start(),
            len(plain[:end].rstrip()) if end - header.end() > 1 else end,
            ("private key"),
        )
    if "private-lines" in folded:
        for match in _PUTTY.finditer(plain):
            end = match.end()
            for _ in range(int(match[1])):
                line = _PUTTY_LINE.match(plain, end)
                if line is None:
                    break
                yield *line.span(1), "private key"
                end = line.end()


# Cookies

_COOKIE_HEADER = re.compile(r"\b(?:set-)?cookie2?[\"']?[ \t]*[:=][ \t]*[\"']?([^\n\"']{3,8000})")
_COOKIE = re.compile(r"([\w.!#$%&*+^`|~-]{1,128})=([^\s;,\"]{6,4096})")
_COOKIE_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "version"})


def _cookies(plain: str, folded: str) -> Iterator[Span]:
    if "cookie" not in folded:
        return
    for header in _COOKIE_HEADER.finditer(folded):
        for match in _COOKIE.finditer(plain, *header.span(1)):
            if match[1].lower() not in _COOKIE_ATTRIBUTES and any(map(str.isdigit, match[2])):
                yield *match.span(2), "cookie"


# Numbers with a check

_CARD = re.compile(
    r"(?<![\w.,/+#-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{4,5}"
    r"|\d{4} {1,2}\d{4} {1,2}\d{4} {1,2}\d{4})(?![\w-]|[.,]\d)"
)
_CARD_TALK = re.compile(
    r"card|visa|master|amex|american express|discover|diners|karte|carte|tarjeta|carta|kaart|karta"
    r"|kort|\bpan\b|\bcc\b|paid|payment|zahl|exp"
)
_OTHER_NUMBER = re.compile(
    r"(?:serial|s/n|\bsn\b|seriennummer|imei|meid|iccid|order|bestell|ticket|case|track(?:ing)?"
    r"|asset|invoice|rechnung|customer|kunde|account|ref|upc|ean|gtin|isbn|barcode|device|\bid\b|sim|awb"
    r"|dhl|ups|fedex|time|filetime|lastset|last|timestamp|epoch|row|bytes|port|phone|tel)"
    r"[\w .:#/(-]{0,24}$"
)


# First digits from, to, and the lengths that the issuer gives out.
_ISSUERS = (
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("6011", "6011", (16, 17, 18, 19)),
    ("644", "659", (16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("300", "305", (14, 15, 16, 17, 18, 19)),
    ("36", "36", (14, 15, 16, 17, 18, 19)),
    ("38", "39", (14, 15, 16, 17, 18, 19)),
    ("62", "62", (16, 17, 18, 19)),
    ("50", "50", (16, 17, 18, 19)),
    ("56", "58", (16, 17, 18, 19)),
    ("63", "63", (16, 17, 18, 19)),
    ("67", "67", (16, 17, 18, 19)),
)
_DOUBLED = "0246813579"
"""A digit doubled, with the digits of the result added: Luhn's table."""


def _is_card(digits: str) -> bool:
    """Tell whether digits are a card number: an issuer's range, its length, and Luhn's check."""
    issued = any(
        low <= digits[: len(low)] <= high and len(digits) in lengths
        for low, high, lengths in _ISSUERS
    )
    total = sum(
        int(_DOUBLED[int(digit)] if place % 2 else digit)
        for place, digit in enumerate(reversed(digits))
    )
    return issued and total % 10 == 0 and len(set(digits)) > 1


def _cards(plain: str, folded: str) -> Iterator[Span]:
    for match in _CARD.finditer(plain):
        if not _is_card(re.sub(r"\D", "", match[0])):
            continue
        before = folded[max(0, match.start() - 48) : match.start()].rpartition("\n")[2]
        around = folded[max(0, match.start() - 64) : match.end() + 32]
        if _CARD_TALK.search(around) or not _OTHER_NUMBER.search(before):
            yield *match.span(), "card number"


_SSN = re.compile(
    r"(?<![\w.,/+#-])(?!000|666|9)\d{3}(?P<gap>[ -]?)(?!00)\d{2}(?P=gap)(?!0000)\d{4}"
    r"(?![\w-]|[.,]\d)"
)
_SSN_TALK = re.compile(r"\bssn|social(?: security)?\b|tax ?id|taxpayer")


def _social_security_numbers(folded: str) -> Iterator[Span]:
    for match in _SSN.finditer(folded):
        if match["gap"] == "-" or _SSN_TALK.search(
            folded[max(0, match.start() - 40) : match.start()]
        ):
            yield *match.span(), "social security number"


_IBAN = re.compile(
    r"(?<![a-z0-9])[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?(?![a-z0-9])"
)
_IBAN_LENGTHS = {
    "ad": 24, "ae": 23, "al": 28, "at": 20, "az": 28, "ba": 20, "be": 16, "bg": 22, "bh": 22,
    "br": 29, "by": 28, "ch": 21, "cr": 22, "cy": 28, "cz": 24, "de": 22, "dk": 18, "do": 28,
    "ee": 20, "eg": 29, "es": 24, "fi": 18, "fo": 18, "fr": 27, "gb": 22, "ge": 22, "gi": 23,
    "gl": 18, "gr": 27, "gt": 28, "hr": 21, "hu": 28, "ie": 22, "il": 23, "iq": 23, "is": 26,
    "it": 27, "jo": 30, "kw": 30, "kz": 20, "lb": 28, "li": 21, "lt": 20, "lu": 20, "lv": 21,
    "mc": 27, "md": 24, "me": 22, "mk": 19, "mr": 27, "mt": 31, "mu": 30, "nl": 18, "no": 15,
    "pk": 24, "pl": 28, "ps": 29, "pt": 25, "qa": 29, "ro": 24, "rs": 22, "sa": 24, "se": 24,
    "si": 19, "sk": 24, "sm": 27, "tn": 24, "tr": 26, "ua": 29, "va": 22, "vg": 24, "xk": 20,
}  # fmt: skip


def _bank_accounts(folded: str) -> Iterator[Span]:
    """Yield IBANs whose country, length and check digits are right."""
    for match in _IBAN.finditer(folded):
        length = _IBAN_LENGTHS.get(match[0][:2])
        if length is None:
            continue
        # The candidate may have run on into the next word: the country says how long it is.
        end, counted = match.start(), 0
        while end < match.end() and counted < length:
            counted += folded[end] != " "
            end += 1
        compact = folded[match.start() : end].replace(" ", "")
        if counted == length and not folded[end : end + 1].isalnum():
            digits = "".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])
            if int(digits) % 97 == 1:
                yield match.start(), end, "bank account"
