"""Looking without touching: ping, name lookup, port, route, web head, from this computer.

A probe runs only because a technician clicked. Its target is checked to be a host name or an
address and nothing else; programs are started without a shell, with a list of arguments, and end
with their time limit or when the technician stops them. What a probe says becomes a note: evidence
like any other, and no more trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.errors import InvalidInput

PROBE_SECONDS = 30.0
"""The longest a probe may take."""
_OUTPUT_LIMIT = 8_000
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LONGEST_NAME = 253
_HIGHEST_PORT = 65_535


class ProbeKind(StrEnum):
    """What can be looked at."""

    PING = "ping"
    LOOKUP = "lookup"
    PORT = "port"
    ROUTE = "route"
    WEB = "web"


PROBE_WORDS = {
    ProbeKind.PING: "Ping",
    ProbeKind.LOOKUP: "Look up the name",
    ProbeKind.PORT: "Try a port",
    ProbeKind.ROUTE: "Trace the route",
    ProbeKind.WEB: "Ask the web server",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What to look at: a host name or address, and for a port or a web server its number."""

    kind: ProbeKind
    target: str
    port: int = 443


def checked_probe(probe: Probe) -> Probe:
    """Return the probe with a clean target, or raise InvalidInput."""
    target = probe.target.strip().rstrip(".").strip("[]")
    if not _is_address(target) and not _is_name(target):
        raise InvalidInput(
            "That is no host name and no address.",
            hint="Type it like fileserver01, www.example.com or 192.0.2.10.",
        )
    if not 1 <= probe.port <= _HIGHEST_PORT:
        raise InvalidInput(f"A port is a number from 1 to {_HIGHEST_PORT:,}.")
    return Probe(probe.kind, target, probe.port)


async def run_probe(probe: Probe, seconds: float = PROBE_SECONDS) -> str:
    """Return what the probe saw, as the text of a note; cancelling ends it at once.

    Raises InvalidInput for a target that is none.
    """
    probe = checked_probe(probe)
    began = time.monotonic()
    try:
        if probe.kind in _PROGRAMS:
            said = await _said(seconds, *_PROGRAMS[probe.kind], probe.target)
        else:
            async with asyncio.timeout(seconds):
                said = await _LOOKS[probe.kind](probe)
    except TimeoutError:
        said = f"No answer within {counted(round(seconds), 'second')}."
    except OSError as error:
        said = f"It failed: {error.strerror or type(error).__name__}."
    where = probe.target
    if probe.kind in (ProbeKind.PORT, ProbeKind.WEB):
        where = f"{where}, port {probe.port}"
    took = time.monotonic() - began
    head = f"[Probe from this computer: {PROBE_WORDS[probe.kind]}, {where}, {took:.1f} s]"
    return f"{head}\n{said.strip()[:_OUTPUT_LIMIT]}"


_PROGRAMS: dict[ProbeKind, tuple[str, ...]] = (
    {
        ProbeKind.PING: ("ping", "-n", "4"),
        ProbeKind.ROUTE: ("tracert", "-d", "-h", "15", "-w", "1000"),
    }
    if sys.platform == "win32"
    else {
        ProbeKind.PING: ("ping", "-c", "4"),
        ProbeKind.ROUTE: ("traceroute", "-n", "-m", "15", "-w", "1", "-q", "1"),
    }
)
_ENCODING = "oem" if sys.platform == "win32" else "utf-8"
"""What programs of the console write in."""


async def _lookup(probe: Probe) -> str:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(probe.target, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return f"The name was not found: {error.strerror}."
    addresses = dict.fromkeys(str(one[4][0]) for one in found)
    return "\n".join(["It stands for:", *addresses])


async def _port(probe: Probe) -> str:
    began = time.monotonic()
    _, writer = await asyncio.open_connection(probe.target, probe.port)
    took = time.monotonic() - began
    await _closed(writer)
    return f"The port is open; connecting took {took * 1000:.0f} ms."


async def _web(probe: Probe) -> str:
    """Ask for the head of the first page, as a browser without memory would."""
    tls = ssl.create_default_context() if probe.port in (443, 8443) else None
    try:
        reader, writer = await asyncio.open_connection(probe.target, probe.port, ssl=tls)
    except ssl.SSLCertVerificationError as error:
        return f"Its certificate is not trusted: {error.verify_message}."
    except ssl.SSLError as error:
        return f"No secure connection came about: {error.reason}."
    host = f"[{probe.target}]" if ":" in probe.target else probe.target
    host += "" if probe.port in (80, 443) else f":{probe.port}"
    writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        head = error.partial
    except asyncio.LimitOverrunError:
        head = await reader.read(_OUTPUT_LIMIT)
    await _closed(writer)
    shown = ("location", "server", "content-type", "date", "www-authenticate")
    first, *rest = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    kept = [line for line in rest if line.partition(":")[0].lower() in shown]
    return "\n".join([first or "It said nothing.", *kept])


_LOOKS = {
    ProbeKind.LOOKUP: _lookup,
    ProbeKind.PORT: _port,
    ProbeKind.WEB: _web,
}


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


async def _said(seconds: float, program: str, *arguments: str) -> str:
    """Return what a program says within the time; it ends when nobody waits for it any more."""
    path = shutil.which(program)
    if path is None:
        return f"The program {program} is not installed on this computer."
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # no console flashes up
    )
    heard = bytearray()
    end = ""
    try:
        async with asyncio.timeout(seconds):
            while process.stdout is not None and (some := await process.stdout.read(4096)):
                heard += some
            await process.wait()
    except TimeoutError:
        limit = counted(round(seconds), "second")
        end = f"It had not ended after {limit}." if heard else f"No answer within {limit}."
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return f"{heard.decode(_ENCODING, 'replace')}\n{end}".strip() or "It said nothing."


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_name(text: str) -> bool:
    """Whether it is a host name: what begins like an option of a program never is."""
    labels = text.split(".")
    return (
        0 < len(text) <= _LONGEST_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not re.fullmatch(r"[\d.]+", text)
    )
