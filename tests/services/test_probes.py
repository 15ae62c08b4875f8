"""Probes look, change nothing, end in time, and start nothing that was not meant."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.session import StepKind
from flowpilot_desktop.services.probes import Probe, ProbeKind, checked_probe, run_probe
from tests.services.desk import open_desk
from tests.services.mind import begun
from tests.simulators.claude import running

NO_HOSTS = [
    "", " ", "-c", "--help", "a b", "a;reboot", "a|b", "$(id)", "`id`", "a&b", "a\nb", "../etc",
    "http://example.com", "host:80", "-oProxyCommand=x", "a..b", "1.2.3", "999.1.1.1", "x" * 300,
    "fe80::1%eth0", "ünï.example", "a/b", "\x00", "@host", "%s",
]  # fmt: skip


@pytest.mark.parametrize("target", NO_HOSTS)
@pytest.mark.parametrize("kind", list(ProbeKind))
async def test_what_is_no_host_starts_nothing(kind: ProbeKind, target: str):
    with pytest.raises(InvalidInput):
        await run_probe(Probe(kind, target))


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        (" fileserver01 ", "fileserver01"),
        ("www.example.com.", "www.example.com"),
        ("192.0.2.10", "192.0.2.10"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("srv_01.lan", "srv_01.lan"),
    ],
)
def test_hosts_and_addresses_are_taken(typed: str, target: str):
    assert checked_probe(Probe(ProbeKind.PING, typed)).target == target


def test_ports_have_bounds():
    for port in (0, -1, 65_536):
        with pytest.raises(InvalidInput):
            checked_probe(Probe(ProbeKind.PORT, "host", port))


async def test_a_port_a_name_and_a_web_server_that_are_there():
    with running() as server:
        seen = await run_probe(Probe(ProbeKind.PORT, "127.0.0.1", server.port))
        assert "The port is open" in seen
        assert f"127.0.0.1, port {server.port}" in seen
        seen = await run_probe(Probe(ProbeKind.WEB, "127.0.0.1", server.port))
        assert "HTTP/1.1 401" in seen
        port = server.port
    assert "It failed" in await run_probe(Probe(ProbeKind.PORT, "127.0.0.1", port))
    assert "127.0.0.1" in await run_probe(Probe(ProbeKind.LOOKUP, "localhost"))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of ping and traceroute that says how it was called."""
    path = tmp_path / "program"
    path.write_text('#!/bin/sh\necho "called with:"; for one in "$@"; do echo "<$one>"; done\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(shutil, "which", lambda name: str(path))
    return path


def sleeps(program: Path, pid: Path) -> None:
    """Let the program write its number down and sleep."""
    program.write_text(f"#!/bin/sh\necho $$ > {pid}.new\nmv {pid}.new {pid}\nexec sleep 60\n")


async def appears(pid: Path) -> int:
    """Wait for the number of a process."""
    async with asyncio.timeout(10):
        while not pid.exists():  # noqa: ASYNC110, ASYNC240 - another process writes it
            await asyncio.sleep(0.01)
    return int(pid.read_text())  # noqa: ASYNC240


async def ends(pid: int) -> None:
    """Wait until a process has ended."""
    async with asyncio.timeout(10):
        while runs(pid):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_programs_get_a_list_of_arguments_and_no_shell(program: Path):
    seen = await run_probe(Probe(ProbeKind.PING, "printer-1.lan"))
    assert seen.splitlines()[1] == "called with:"
    assert "<printer-1.lan>" in seen
    assert "<-c>" in seen or "<-n>" in seen
    assert "<printer-1.lan>" in await run_probe(Probe(ProbeKind.ROUTE, "printer-1.lan"))


async def test_a_probe_ends_with_its_time(program: Path):
    sleeps(program, program.parent / "pid")
    began = time.monotonic()
    seen = await run_probe(Probe(ProbeKind.PING, "host"), 0.3)
    assert "No answer within" in seen
    assert time.monotonic() - began < 10


async def test_what_was_seen_before_the_time_was_up_is_kept(program: Path):
    script = "#!/bin/sh\necho '1  gateway.lan  1 ms'\nexec sleep 60\n"
    program.write_text(script)  # noqa: ASYNC240 - before anything runs
    seen = await run_probe(Probe(ProbeKind.ROUTE, "host"), 2.0)
    assert "1  gateway.lan  1 ms" in seen
    assert "not ended after 2 seconds" in seen


async def test_a_head_that_comes_in_pieces_is_read_whole():
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 302 Found\r\n")
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"Location: /sign-in\r\nSet-Cookie: id=1\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        seen = await run_probe(Probe(ProbeKind.WEB, "127.0.0.1", port))
    assert seen.splitlines()[1:] == ["HTTP/1.1 302 Found", "Location: /sign-in"]
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in asked[0]


async def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "is not installed" in await run_probe(Probe(ProbeKind.PING, "host"))


async def test_what_was_seen_becomes_a_note_and_a_stopped_probe_none(tmp_path: Path, program: Path):
    async with open_desk(tmp_path / "profile") as desk:
        session_id = await begun(desk)
        await desk.engine.save_draft(session_id, "note", "half a note")
        step = await desk.engine.probe(session_id, Probe(ProbeKind.PING, "printer-1.lan"))
        assert step.kind is StepKind.NOTE
        assert step.body.text.startswith("[Probe from this computer: Ping, printer-1.lan")
        assert await desk.engine.drafts(session_id) == {"note": "half a note"}
        sleeps(program, tmp_path / "pid")
        probing = asyncio.ensure_future(
            desk.engine.probe(session_id, Probe(ProbeKind.PING, "printer-1.lan"))
        )
        pid = await appears(tmp_path / "pid")
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        await ends(pid)
        assert len((await desk.engine.session(session_id)).steps) == 1
