"""Secrets on command lines and in device configurations, known by the command's own grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowpilot_desktop.core.redaction import values
from flowpilot_desktop.core.redaction.reading import Reading, Span


@dataclass(frozen=True, slots=True)
class _Command:
    """A command's grammar; the secret is the first group that took part.

    `literals` are lower-case texts one of which must be there. With `wary` the value must look
    like a secret, because the same words also stand in sentences.
    """

    pattern: re.Pattern[str]
    literals: tuple[str, ...]
    kind: str = "password"
    wary: bool = False


_ARG = r"(?:\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'|([^\s\"'][^\s]{0,200}))"
_USER = r"(?:\"[^\"\n]{1,64}\"|[^\s\"/]{1,64})"


def _command(pattern: str, *literals: str, kind: str = "password", wary: bool = False) -> _Command:
    return _Command(re.compile(pattern, re.IGNORECASE), literals, kind, wary)


_COMMANDS = (
    _command(rf"\bnet1?(?:\.exe)?\s+user\s+{_USER}\s+(?![/*]){_ARG}(?=[^\n]{{0,80}}\s/"
             r"(?:add|domain|active|times|expires|passwordchg|passwordreq|logonpasswordchg|y)\b)",
             "user"),
    _command(rf"\bnet1?(?:\.exe)?\s+user\s+{_USER}\s+(?![/*]){_ARG}", "user", wary=True),
    _command(rf"\bnet1?(?:\.exe)?\s+use\s+(?:[a-z*]:?\s+)?\\\\\S{{1,200}}\s+(?![/*]){_ARG}",
             "use", wary=True),
    _command(rf"\bnet1?(?:\.exe)?\s+use\s[^\n]{{0,200}}?/user:{_USER}\s+(?![/*]){_ARG}", "/user:"),
    _command(
        r"\b(?:psexec(?:64)?|paexec|sshpass|plink|pscp|psftp|putty|winexe|certutil|docker|podman"
        r"|az|helm|mysql\w*|mariadb|evil-winrm|nxc|crackmapexec|mosquitto_\w+)(?:\.exe)?\b"
        rf"[^\n]{{0,300}}?\s-{{1,2}}(?:p|pw|pass|password)(?:\s+|=)(?![-*]|[\d.:]{{2,30}}(?:/\w+)?\s){_ARG}",
        "psexec", "paexec", "sshpass", "plink", "pscp", "psftp", "putty", "certutil", "docker",
        "podman", "az ", "helm", "winexe", "evil-winrm", "nxc", "crackmapexec", "mosquitto_",
    ),
    _command(r"\b(?:mysql\w*|mariadb\w*)(?:\.exe)?\b[^\n]{0,300}?\s-p"
             r"(?:\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'"
             r"|([^\s\"'-][^\s]{0,200}))", "mysql", "mariadb"),
    _command(r"\b(?:7z[ar]?|rar|unrar|zip|unzip)(?:\.exe)?\b[^\n]{0,200}?\s-(?:h?p|P\s*)"
             r"(?:\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'|([^\s\"'-][^\s]{2,200}))",
             "7z", "rar", "zip", wary=True),
    _command(rf"\b(?:sqlcmd|osql|bcp|isql|impdp)(?:\.exe)?\b[^\n]{{0,300}}?\s(?-i:-P)\s*{_ARG}",
             "sqlcmd", "osql", "bcp", "isql"),
    _command(r"\bsqlplus(?:\.exe)?\s+(?:-\w+\s+)?[\w.]{1,64}/([^\s@/]{1,200})", "sqlplus"),
    _command(r"\b(?:enter|use|type)\s+(\d{6,8}|\d{3}[ -]\d{3})\s+(?:to|as|for|when)\b",
             "enter", "use ", "type", kind="one-time code"),
    _command(rf"\bredis-cli\b[^\n]{{0,200}}?\s-a\s+{_ARG}", "redis-cli"),
    _command(rf"\bldap\w+\b[^\n]{{0,300}}?\s-w\s+{_ARG}", "ldap"),
    _command(r"\bcurl(?:\.exe)?\b[^\n]{0,400}?\s(?:-u|--user|--proxy-user)[ =]?[\"']?"
             r"[^\s:\"']{1,100}:"
             r"([^\s\"']{1,200})", "curl"),
    _command(r"\b(?:smbclient|rpcclient|smbmap|net|wmic|impacket-\w+)\b[^\n]{0,300}?\s-U\s?[\"']?"
             r"[^\s%\"']{1,100}%([^\s\"']{1,200})", "-u"),
    _command(rf"\bhtpasswd\b[^\n]{{0,100}}?\s-\w*b\w*\s+(?:\S{{1,200}}\s+)?\S{{1,64}}\s+{_ARG}",
             "htpasswd"),
    _command(rf"\brasdial(?:\.exe)?\s+{_USER}\s+{_USER}\s+(?!/){_ARG}", "rasdial"),
    _command(r"\bpass(?:in|out)?[ =]\"?pass:([^\s\"']{1,200})", "pass:"),
    _command(rf"\b[wx]?freerdp3?\b[^\n]{{0,300}}?\s/p:{_ARG}", "freerdp"),
    _command(rf"(?<=\s)/(?:pass|password[dofu]?|passwordd|pwd|pd|po|rp|up)(?::|\s+){_ARG}",
             "/pass", "/pwd", "/pd", "/po", "/rp", "/up", wary=True),
    _command(rf"\s-(?:pwd|password|pass|adminpassword|newpassword|passphrase)\s+(?![-(]){_ARG}",
             "-pwd", "-password", "-pass", "-adminpassword", "-newpassword", wary=True),
    _command(rf"--(?:[\w-]{{0,40}}-)?pass(?:word|wd|phrase)?(?:=|\s+)(?!-){_ARG}", "--"),
    _command(r"\b(?:echo|printf)\s+[\"']?([^\s\"'|]{1,200})[\"']?\s*\|\s*sudo\s[^\n]{0,40}-\w*s",
             "sudo"),
    _command(r"\b(?:echo|printf)\s+[\"']?[\w.-]{1,64}:([^\s\"'|]{1,200})[\"']?"
             r"\s*\|\s*(?:sudo\s+)?chpasswd", "chpasswd"),
    _command(r"convertto-securestring(?:\s+-(?:string|asplaintext|force)\b){0,4}\s+"
             r"(?:\"(?!\$[\w.:]+\")([^\"\n]{1,200})\"|'([^'\n]{1,200})'|([^\s$()\"'-][^\s)]{0,200}))",
             "convertto-securestring"),
    _command(r"(?:\"(?!\$)([^\"\n]{1,200})\"|'([^'\n]{1,200})')"
             r"[ \t]*\|[ \t]*convertto-securestring", "convertto-securestring"),
    _command(r"(?<![^\s(])([^\s$()\"'|]{1,200})[ \t]*\|[ \t]*convertto-securestring",
             "convertto-securestring", wary=True),
    _command(r"/v[ \t]+\S{0,40}(?:password|passwd|pwd)(?:(?!reg_d)[^\n]){0,60}?"
             rf"[ \t]/d[ \t]+{_ARG}", "/v "),
    _command(rf"(?<!\S)(?:requirepass|masterauth)[ \t]+{_ARG}", "requirepass", "masterauth"),
    _command(r"\bjdbc:oracle:\w{2,8}:[\w.]{1,64}/([^\s@/]{1,200})@", "jdbc:oracle"),
    _command(r"\bmslaps-password\b[^\n]{0,200}?\"p\"[ ]*:[ ]*\"([^\"\n]{1,200})\"",
             "mslaps-password"),
    _command(r"\b(?:u|un|usr|user|uid|login)[ \t]{0,2}[:=][ \t]{0,2}[^\s,;]{1,64}[,;]?[ \t]{1,4}"
             rf"p(?:w|wd)?[ \t]{{0,2}}[:=][ \t]{{0,2}}{_ARG}", "p:", "p=", "p :", "p =", wary=True),
    _command(r"\b(?:the|her|his|my|your|their|new|second) code(?: is| was| reads|:|,)[ \t]{1,2}"
             r"(\d{3}[ -]?\d{3})(?![\w-]|[.,]\d)", " code", kind="one-time code"),
    _command(r"(?:networkcredential|pscredential)\]?[^\n(]{0,20}\(\s*[\"'][^\"'\n]{0,100}[\"']\s*,\s*"
             r"[\"']([^\"'\n]{1,200})[\"']", "credential"),
    _command(rf"\bslmgr(?:\.vbs)?\s+[/-]ipk\s+{_ARG}", "slmgr", kind="licence key"),
    _command(rf"\bmanage-bde\b[^\n]{{0,100}}?\s-(?:rp|recoverypassword)\s+{_ARG}",
             "manage-bde", kind="recovery key"),
    _command(r"\bwifi:[^\n]{0,120}?\bp:((?:[^;\n\\]|\\.){1,100});", "wifi:", kind="Wi-Fi key"),
    _command(rf"\bwpa-psk\s+(?:ascii|hex)\s+\d\s+{_ARG}", "wpa-psk", kind="Wi-Fi key"),
    _command(r"\b(?:isakmp|crypto|ikev[12]|local-authentication|remote-authentication)\s"
             r"[^\n]{0,60}?\b(?:pre-shared-)?key\s+(?:[068]\s+)?"
             rf"(?!address|generate|chain|rsa|mypubkey|zeroize){_ARG}",
             "crypto", "isakmp", "ikev", kind="secret", wary=True),
    _command(r"\bset\s+(?:passwd|password|psksecret|psk|passphrase|secret|auth-pwd|priv-pwd"
             r"|sae-password)\s+"
             rf"(?:enc\s+)?{_ARG}", "set "),
    _command(r"\b(?:enable|username\s+\S{1,64}(?:\s+privilege\s+\d+)?|ppp\s+chap"
             r"|ppp\s+pap\s+sent-username\s+\S{1,64})"
             rf"\s+(?:algorithm-type\s+\S+\s+)?(?:password|secret)\s+(?:\d\s+)?{_ARG}",
             "enable", "username", "ppp", wary=True),
    _command(r"\b(?:key-string|(?:tacacs-|radius-)?server[- ]key"
             r"|neighbor\s+\S{1,40}\s+password)"
             rf"\s+(?:\d\s+)?{_ARG}",
             "key-string", "-server key", "server-key", "neighbor", kind="secret"),
    _command(rf"\b(?:snmp-server\s+community|r[ow]community6?|set\s+snmp\s+community"
             rf"|com2sec\s+\S{{1,40}}\s+\S{{1,40}})\s+(?!public\b|string\b){_ARG}",
             "community", "com2sec", kind="SNMP community"),
    _command(r"\bsnmp(?:walk|get|getnext|bulkwalk|bulkget|set|table|trap|status|df)\b"
             r"[^\n]{0,120}?\s-c\s+"
             rf"(?!public\b){_ARG}", "snmp", kind="SNMP community"),
)  # fmt: skip


def _matches(command: _Command, reading: Reading) -> Iterator[re.Match[str]]:
    for low, high in reading.windows(command.literals, 500, 800):
        yield from command.pattern.finditer(reading.plain, low, high)


def found(reading: Reading) -> Iterator[Span]:
    """Yield start, end and kind of each secret."""
    for command in _COMMANDS:
        for match in _matches(command, reading):
            group = next(
                number
                for number in range(1, command.pattern.groups + 1)
                if match[number] is not None
            )
            start, end = match.span(group)
            while end > start and match[group][: end - start][-1] in ",;)`":
                end -= 1
            text = reading.plain[start:end]
            if end == start or values.is_talk(text):
                continue
            if not command.wary or values.is_mixture(text, 4):
                yield start, end, command.kind
