"""The names of secrets, as people and programs call them, in the languages technicians meet.

`named` finds them in a text. Looking for short literals first and trying the one long pattern only
around them keeps this fast. Long names count inside compound ones ("smtpPassword"), short ones
such as "pw" only as words of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowpilot_desktop.core.redaction.reading import Reading

_LEFT = r"(?<![^\W\d_])"
_RIGHT = r"(?![^\W\d_])"


def _any(*words: str) -> str:
    return "(?:" + "|".join(words) + ")"


_PASSWORDS = _any(
    "passwords?", "passwort", "passwörter[n]?", "passwd", "kennwort", "kennwörtern?", "passphrase",
    "passcode", "mots? de passe", "contrase(?:ñ|n\u0303|n)as?", "wachtwoord(?:en)?", "parola",
    "has[łl][oa]", "senhas?", "palavra-passe", "l(?:ö|o\u0308|o)senord(?:et)?",
    "adgangskode[nr]?", "passord(?:et)?", "salasanat?", "jelsz(?:ó|o)", "parolă", "geslo",
    "lozinka", "парол[ья]", "κωδικός(?: πρόσβασης)?", "şifre", "パスワード", "密码", "密碼",
    "비밀번호", "admpwd", "p a s s w o r d", r"p\.a\.s\.s\.w\.o\.r\.d", "identified by",
    "auth-user-pass",
)  # fmt: skip
_SHORT_PASSWORDS = _any(
    "root ?pw", "pwd", "pw", "pass", "laps", "mdp", "heslo", "clave", "sifre", "kodeord"
)
_CODE_SENDERS = _any(
    "verification", "security", "confirmation", "one[- ]time", "otp", "mfa", "2fa", "sms",
    "authenticator", "authentication", "auth", "login", "log-?in", "sign-?in", "text",
    r"\d-digit", "apple id", "google", "microsoft", "duo", "teams", "zoom", "whatsapp",
    "signal", "amazon", "paypal", "facebook", "okta", "slack",
)  # fmt: skip
# In this order: the first alternative that fits wins.
_GROUPS = {
    "cvv": _LEFT + _any(
        "cvv2?", "cvc2?", "cvn", "card (?:security|verification) (?:code|number)",
        "security code on the (?:card|back)",
    ),
    "code": _LEFT + _any(
        _CODE_SENDERS + "[- ](?:pass)?code",
        "code from (?:the |her |his |my )?authenticator(?: app)?",
        "otp", "2fa", "mfa", "bestätigungscode", "sicherheitscode", "code de vérification",
        "código de verificación", "codice di verifica", "verificatiecode", "kod weryfikacyjny",
    ) + "(?![-_ ](?:secret|seed|key|setup))",
    "backup": _LEFT + _any("backup", "recovery", "emergency", "scratch") + "[- ]codes?",
    "pin": _LEFT + _any(
        "(?:alarm|safe|door|gate|keypad|entry|lock|disarm|sim|voicemail|mailbox|copier|printer)"
        "[- ](?:code|pin|combination)",
        "pin(?:'s|[- ]?(?:code|number))?", "puk2?", "alarm",
    ),
    "seed": _LEFT + _any(
        "(?:totp|otp|mfa|2fa|authenticator|hotp)[- _](?:secret|seed|key|setup key)",
        "(?:authenticator |mfa |2fa )?setup key",
    ),
    "licence": _any(
        "(?:licen[cs]e|product|activation|cd|lizenz|produkt)[-_ ]?(?:key|code|schlüssel)",
        "serial(?: number)? ?/ ?licen[cs]e key", "licen[cs]e(?: id)? ?/ ?key",
    ),
    "recovery": _any("recovery", "wiederherstellungs") + "[-_ ]?(?:key|schlüssel)",
    "content": _any(
        "key content", "schlüsselinhalt", "contenu de la clé", "contenido de la clave",
        "contenuto chiave", "conteúdo da chave", "sleutelinhoud", "keymaterial",
    ),
    "wifi": _LEFT + _any(
        "(?:wi-?fi|wlan|wpa[23]?|wep|ssid|wireless|network security|hotspot)[-_ ]?(?:network )?"
        "(?:key|pass(?:word)?|passwort|psk|pw|pwd|schlüssel)", "(?:mot de passe|clave) wi-?fi",
        "psk(?!secret)", "(?:guest|network|guest network) code",
    ),
    "community": "(?:(?:snmp(?: ?v\\d\\w?)?|read|write|read-only)[- ])?community(?:[- ]string)?",
    "api": _any(
        "(?:api|app|subscription|secret[-_ ]?access|access|account|auth|integration|agent"
        "|encryption|master|secret|signing|private|public|license|host)[-_ ]?key",
        "api[-_ ]?(?:secret|schlüssel|pass)", "x-api-key", "datto api public",
    ) + "(?:[-_]?id)?",
    "token": _any(
        "access", "auth", "refresh", "id", "install", "api", "bearer", "session", "security",
        "personal access", "registration", "enrol?lment", "deployment", "sas", "device",
    ) + "?[-_ ]?(?<!un)token",
    "phrase": "pass[- ]?phrase",
    "secret": _any(
        _any("client", "shared", "app", "radius", "ipsec", "vpn", "oauth", "webhook", "signing",
             "jwt", "consumer", "hmac", "pre-?shared") + "?[-_ ]?(?:signing )?secret(?: value)?",
        "(?:pre-?)?shared[-_ ]?key", "psksecret", "isakmp key",
    ),
    "key": _LEFT + _any("key", "api"),
    "password": _any(_PASSWORDS, _LEFT + _SHORT_PASSWORDS, "(?:access|zugangs)[- ]code"),
}  # fmt: skip
_NAMES = re.compile(
    "|".join(f"(?P<{group}>{pattern}){_RIGHT}" for group, pattern in _GROUPS.items())
)
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
    "key": "API key",
}
# Every name contains one of these.
_CORES = (
    "pass", "pw", "laps", "combination", "api", "alarm", "kennw", "mdp", "contrase", "clave",
    "wachtwoord", "parol",
    "haslo", "hasla", "hasło", "hasła", "senha", "senord", "adgangskode", "kodeord", "salasana",
    "jelsz", "geslo",
    "lozinka", "heslo", "парол", "κωδικ", "şifre", "sifre", "パスワード", "密码", "密碼",
    "비밀번호",
    "p a s s", "p.a.s.s", "identified by", "code", "código", "codice", "kod wery", "otp", "2fa",
    "mfa", "pin", "puk", "cvv", "cvc", "cvn", "card ", "key", "schlüssel", "clé", "chiave", "chave",
    "sleutel", "secret", "seed", "token", "community", "psk", "datto api",
)  # fmt: skip
_SUFFIX = re.compile(r"\d{0,2}(?:[_-]?(?:new|old|temp|value|plain|text))?")
_WIRELESS = re.compile(r"wi-?fi|wlan|ssid|wireless|hotspot")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Name:
    """A secret's name in a text: its group, the kind of secret, and where it stands."""

    group: str
    kind: str
    start: int
    end: int


def named(reading: Reading) -> Iterator[Name]:
    """Yield the names of secrets in a text, in order."""
    folded = reading.folded
    for low, high in reading.windows(_CORES, 40, 60):
        for match in _NAMES.finditer(folded, low, high):
            group = match.lastgroup or "password"
            kind = _KINDS[group]
            if group == "password" and _WIRELESS.search(
                folded, max(0, match.start() - 24), match.start()
            ):
                kind = "Wi-Fi key"
            yield Name(group, kind, *match.span())


def secret_name(name: str) -> str | None:
    """Return the kind of secret that a field of this name holds, or None."""
    folded = _CAMEL.sub("_", name).lower().strip()
    if folded in ("authorization", "cookie", "set-cookie"):
        return "token"
    matches = list(_NAMES.finditer(folded))
    if not matches or not _SUFFIX.fullmatch(folded, matches[-1].end()):
        return None
    group = matches[-1].lastgroup or "password"
    return None if group == "key" else _KINDS[group]


def is_name(text: str) -> bool:
    """Tell whether a text is a secret's name and nothing else."""
    return _NAMES.fullmatch(text) is not None
