"""What a long paste says: a log, an event export, ``ipconfig /all``, a stack trace.

Nobody reads four hundred lines, and a model pays for each. ``evidence(text)`` reads them here, on
this computer: what kind of text it is, the facts that a technician would look for, and the lines
that matter. ``Evidence.digest`` is what a step then holds; the whole text is kept beside it.

A long text in somebody's own words is no evidence and is left as it is, up to ``WORDS_LIMIT``. Of a
longer one the step holds the beginning, the end and the lines that matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flowpilot_desktop.core.counting import counted

LONG_TEXT = 2_000
"""Characters from which on a text may be evidence."""
MANY_LINES = 25
"""Lines from which on a shorter one may be, too."""
KEPT_LINES = 24
"""Lines that matter which a digest holds at most."""
_LISTED_LINES = 60
_LINE = 300
READ_LIMIT = 2_000_000
"""Characters that are read: of a longer text the beginning and the end."""
WORDS_LIMIT = 100_000
"""Characters that a step holds of any text; a longer one is evidence whatever it is."""
_VALUES = 8
_HEAD = 3
_ENDS = 6
"""Lines of the beginning, and of the end, that stand for a text of no known kind."""


class EvidenceKind(StrEnum):
    """What a paste is."""

    IP_CONFIGURATION = "IP configuration"
    EVENTS = "event export"
    STACK_TRACE = "stack trace"
    LOG = "log"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found in a paste. ``facts`` are lines for people, ``lines`` parts of the text."""

    kind: EvidenceKind
    line_count: int
    facts: tuple[str, ...]
    lines: tuple[str, ...]

    def digest(self, name: str) -> str:
        """Return what a step holds instead of the whole text, which is kept under that name."""
        parts = [f"[Pasted {self.kind}, {counted(self.line_count, 'line')}; kept whole as {name}]"]
        if self.facts:
            parts += ["Found:", *(f"- {fact}" for fact in self.facts)]
        if self.lines:
            parts += ["Lines that matter:", *self.lines]
        return "\n".join(parts)


def evidence(text: str) -> Evidence | None:
    """Return what a paste says, or None for a short text and for somebody's own words.

    ``READ_LIMIT`` and ``WORDS_LIMIT`` say what becomes of very long ones.
    """
    read = text
    if len(text) > READ_LIMIT:
        half = READ_LIMIT // 2
        read = "\n".join((text[:half].rpartition("\n")[0], text[-half:].partition("\n")[2]))
    lines = read.splitlines()
    if len(text) < LONG_TEXT and len(lines) < MANY_LINES:
        return None
    kind = _kind(read, lines)
    if kind is None:
        if len(text) <= WORDS_LIMIT:
            return None
        kind = EvidenceKind.TEXT
    facts = list(_facts(kind, lines))
    if read is not text:
        facts.append(f"Read: the first and the last {READ_LIMIT // 2:,} characters only")
    return Evidence(kind, text.count("\n") + 1, tuple(facts), _telling(kind, lines))


_STAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4},? \d{1,2}:\d\d(?::\d\d)?"
    r"(?: [AP]M)?|\b[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d|^\[?\d\d:\d\d:\d\d"
)
_FRAME = re.compile(
    r"^\s+(?:at \S.*[(:]|File \".+\", line \d+|\.\.\. \d+ more)|^\s*#\d+ +0x|^\s+\S+!\S+\+0x"
)
_EXCEPTION = re.compile(
    r"^(?:Unhandled exception[.:]? *|Caused by: |Exception in thread \S+ |-+> )?"
    r"(?P<head>[A-Za-z_][\w.$]*(?:Exception|Error|Fault)\b.*)"
)
_IP_HEAD = re.compile(
    r"^\s*(?:Windows[ -]IP[ -][CK]onfiguration|Host ?Name[ .]*:|.*adapter .+:\s*$)", re.IGNORECASE
)
_EVENT = re.compile(
    r"\b(?:Event ?|Ereignis-?)ID[\s:=,\"]*(\d{1,5})\b|<EventID[^>]*>(\d{1,5})<"
    # A row of Get-WinEvent: the time, the id, the level
    r"|:\d\d(?: [AP]M)?[ ]{1,9}(\d{1,5}) (?:Critical|Error|Warning|Information|Verbose)\b",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    r"^\s*(?:Source|Quelle|ProviderName|Provider)\s*[:=]\s*(\S.{0,60})"
    r"|<Provider Name=[\"']([^\"'>]{1,60})",
    re.IGNORECASE,
)
_EVENT_HEAD = re.compile(r"(?:^|[,\t])\"?(?:Event ID|Ereignis-ID)\"?(?:[,\t]|$)", re.IGNORECASE)
_HEAD_WITHIN = 50
_CODE = re.compile(
    r"\b(?:0x[0-9a-fA-F]{4,8}|AADSTS\d{4,7}|(?:WSAE?|ERR(?:OR)?)_[A-Z][A-Z_]{3,40}"
    r"|(?:error|status|code|errno)[ :=#]{1,3}-?\d{2,10})\b",
    re.IGNORECASE,
)
_HOST = re.compile(r"\b(?=[\w-]*[A-Za-z])[\w-]{2,40}(?:\.[\w-]{2,40}){1,5}\.?[A-Za-z]{2,12}\b")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_BAD = re.compile(
    r"\b(?:error|fail(?:ed|ure)?|fatal|critical|exception|denied|refused|timed? ?out|unreachable"
    r"|cannot|can't|unable|invalid|expired|corrupt\w*|warn(?:ing)?|panic|crash\w*)\b",
    re.IGNORECASE,
)
_FILE_ENDINGS = frozenset(
    (
        *("exe", "dll", "log", "txt", "py", "java", "cs", "js", "json", "xml", "sys", "ini", "cfg"),
        *("conf", "so", "jar", "msi", "ps1", "bat", "kt", "go", "rs"),
    )
)


def _kind(text: str, lines: list[str]) -> EvidenceKind | None:
    heads = sum(bool(_IP_HEAD.match(line[:_LINE])) for line in lines[:400])
    if heads > 1 and "dhcp" in text.casefold():
        return EvidenceKind.IP_CONFIGURATION
    if len(_EVENT.findall(text)) > 1 or sum(1 for _ in _listed_events(lines)) > 1:
        return EvidenceKind.EVENTS
    frames = sum(bool(_FRAME.match(line)) for line in lines)
    stamped = sum(bool(_STAMP.search(line[:60])) for line in lines)
    written = max(1, sum(bool(line.strip()) for line in lines))
    if frames > 2 and stamped < written / 2:  # noqa: PLR2004 - a frame or two may be quoted
        return EvidenceKind.STACK_TRACE
    looks_logged = stamped >= max(5, written * 0.3)
    looks_listed = len(lines) >= _LISTED_LINES and len(text) / written < 200  # noqa: PLR2004 - no prose
    return EvidenceKind.LOG if looks_logged or looks_listed else None


def _facts(kind: EvidenceKind, lines: list[str]) -> Iterator[str]:
    if kind is EvidenceKind.IP_CONFIGURATION:
        yield from _configuration(lines)
        return
    stamps = [match[0].lstrip("[") for line in lines if (match := _STAMP.search(line[:60]))]
    if len(stamps) > 1:
        yield f"Time span: {stamps[0]} to {stamps[-1]}"
    if kind is EvidenceKind.EVENTS:
        listed = list(_listed_events(lines))
        ids = Counter(number for number, _ in listed)
        ids.update("".join(found) for line in lines for found in _EVENT.findall(line))
        yield f"Event ids: {_counted(ids)}"
        sources = Counter(source for _, source in listed if source)
        sources.update(
            (found[1] or found[2]).strip() for line in lines if (found := _SOURCE.search(line))
        )
        if sources:
            yield f"Sources: {_counted(sources)}"
    yield from _trace(lines)
    codes = Counter(match[0] for line in lines for match in _CODE.finditer(line))
    if codes:
        yield f"Error codes: {_counted(codes)}"
    addresses = Counter(a for line in lines for a in _ADDRESS.findall(line) if _is_address(a))
    if addresses:
        yield "Addresses: " + ", ".join(one for one, _ in addresses.most_common(_VALUES))
    hosts = Counter(h for line in lines if not _FRAME.match(line) for h in _hosts(line))
    if hosts:
        yield "Hosts: " + ", ".join(one for one, _ in hosts.most_common(_VALUES))


def _listed_events(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield id and source of each row of a table as the Event Viewer copies and exports it."""
    place = next((n for n, line in enumerate(lines[:_HEAD_WITHIN]) if _EVENT_HEAD.search(line)), -1)
    if place < 0:
        return
    delimiter = "\t" if "\t" in lines[place] else ","
    heads = [head.strip(' "').casefold() for head in lines[place].split(delimiter)]
    number = next(n for n, head in enumerate(heads) if head in ("event id", "ereignis-id"))
    source = next((n for n, head in enumerate(heads) if head in ("source", "quelle")), -1)
    for line in lines[place + 1 :]:
        cells = [cell.strip(' "') for cell in line.split(delimiter, len(heads))]
        if len(cells) > max(number, source) and cells[number].isdecimal():
            yield cells[number], cells[source] if source >= 0 else ""


def _counted(values: Counter[str]) -> str:
    return ", ".join(
        f"{one} ({counted(count, 'time')})" for one, count in values.most_common(_VALUES)
    )


def _trace(lines: list[str]) -> Iterator[str]:
    """Yield the exception that was the first cause, and where it was raised."""
    heads = [
        (place, match["head"].strip())
        for place, line in enumerate(lines)
        if not _FRAME.match(line) and (match := _EXCEPTION.match(line.strip()))
    ]
    frames = [place for place, line in enumerate(lines) if _FRAME.match(line)]
    if not heads or not frames:
        return
    place, head = heads[-1]
    yield f"Exception: {head[:_LINE]}"
    # Python writes the innermost frame last, above the exception; the others first, below it.
    is_python = any(lines[one].lstrip().startswith("File ") for one in frames)
    inner = [one for one in frames if one < place][-3:][::-1]
    if not is_python:
        inner = [one for one in frames if one > place][:3]
    for one in inner:
        yield f"Frame: {lines[one].strip()[:_LINE]}"


_LABELS = {
    "host name": "Host",
    "primary dns suffix": "DNS suffix",
    "connection-specific dns suffix": "DNS suffix",
    "description": "Adapter",
    "dhcp enabled": "DHCP",
    "ipv4 address": "Address",
    "autoconfiguration ipv4 address": "Address without DHCP",
    "ipv6 address": "Address",
    "subnet mask": "Mask",
    "default gateway": "Gateway",
    "dhcp server": "DHCP server",
    "dns servers": "DNS servers",
    "media state": "Media",
    "lease expires": "Lease until",
    # As a German Windows says it
    "hostname": "Host",
    "primäres dns-suffix": "DNS suffix",
    "verbindungsspezifisches dns-suffix": "DNS suffix",
    "beschreibung": "Adapter",
    "dhcp aktiviert": "DHCP",
    "ipv4-adresse": "Address",
    "ipv4-adresse (auto. konfiguration)": "Address without DHCP",
    "ipv6-adresse": "Address",
    "subnetzmaske": "Mask",
    "standardgateway": "Gateway",
    "dhcp-server": "DHCP server",
    "dns-server": "DNS servers",
    "medienstatus": "Media",
    "lease läuft ab": "Lease until",
}
_DEEP = " " * 12
"""A further value stands below the first one."""
_LABELLED = re.compile(r"\s{1,8}(?P<label>\S[^:]{0,80}?)[ .]*:(?:\s+(?P<value>.*))?$")


def _configuration(lines: list[str]) -> Iterator[str]:
    """Yield the facts of the host, then of each adapter; further lines belong to their label."""
    adapter, label = "", ""
    found: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        if line[:1].strip():
            adapter, label = (
                line.strip().rstrip(":")[:_LINE] if line.rstrip()[-1:] == ":" else "",
                "",
            )
            continue
        if match := _LABELLED.match(line):
            label = _LABELS.get(match["label"].casefold(), "")
        elif not line.startswith(_DEEP):
            label = ""
        value = re.sub(r"\([^\W\d]+\)\s*$", "", (match["value"] or "") if match else line).strip()
        values = found.setdefault(adapter, {}).setdefault(label, [])
        if label and value and value not in values:
            values.append(value[:_LINE])
    for adapter, facts in found.items():
        told = [f"{name}: {', '.join(some[:_VALUES])}" for name, some in facts.items() if some]
        if not adapter:
            yield from told
        elif told:
            yield f"{adapter}: {'; '.join(told)}"


def _telling(kind: EvidenceKind, lines: list[str]) -> tuple[str, ...]:
    """Return the first lines, where somebody's own words may stand, and those that matter."""
    if kind is EvidenceKind.IP_CONFIGURATION:
        return ()
    written = [place for place, line in enumerate(lines) if line.strip()]
    chosen = written[:_HEAD]
    if kind is EvidenceKind.TEXT:
        chosen = sorted({*written[:_ENDS], *written[-_ENDS:]})
    bad = [p for p, line in enumerate(lines) if _BAD.search(line) or _CODE.search(line)]
    return tuple(lines[place].rstrip()[:_LINE] for place in _without_repeats(lines, chosen, bad))


def _without_repeats(lines: list[str], chosen: list[int], bad: Iterable[int]) -> list[int]:
    """Return places in order, one for each sort of line: a message repeats with other numbers."""
    seen = {_sort(lines[place]) for place in chosen}
    kept: list[int] = []
    for place in bad:
        sort = _sort(lines[place])
        if sort not in seen:
            seen.add(sort)
            kept.append(place)
    if len(kept) > (room := KEPT_LINES - len(chosen)):
        # How it began, and how it ended
        kept = kept[: room // 2] + kept[-(room - room // 2) :]
    return sorted([*chosen, *kept])


def _sort(line: str) -> str:
    return re.sub(r"\d+", "0", line.strip()[:_LINE])


def _hosts(line: str) -> Iterator[str]:
    for match in _HOST.finditer(line):
        host = match[0].rstrip(".").lower()
        if host.rpartition(".")[2] not in _FILE_ENDINGS and not _ADDRESS.fullmatch(host):
            yield host


def _is_address(text: str) -> bool:
    return all(int(part) < 256 for part in text.split("."))  # noqa: PLR2004 - a byte
