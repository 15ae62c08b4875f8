"""Long pastes are read on this computer: kind, facts, the lines that matter."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.evidence import KEPT_LINES, EvidenceKind, evidence

IPCONFIG = """
Windows IP Configuration

   Host Name . . . . . . . . . . . . : NW-LT-014
   Primary Dns Suffix  . . . . . . . : northwind.example
   Node Type . . . . . . . . . . . . : Hybrid

Ethernet adapter Ethernet:

   Media State . . . . . . . . . . . : Media disconnected

Wireless LAN adapter Wi-Fi:

   Connection-specific DNS Suffix  . : northwind.example
   Description . . . . . . . . . . . : Wi-Fi 6 AX201
   Physical Address. . . . . . . . . : 00-00-5E-00-53-01
   DHCP Enabled. . . . . . . . . . . : Yes
   Autoconfiguration Enabled . . . . : Yes
   IPv4 Address. . . . . . . . . . . : 192.0.2.41(Preferred)
   Subnet Mask . . . . . . . . . . . : 255.255.255.0
   Lease Expires . . . . . . . . . . : Tuesday 10:11:12
   Default Gateway . . . . . . . . . : 192.0.2.1
   DHCP Server . . . . . . . . . . . : 192.0.2.2
   DNS Servers . . . . . . . . . . . : 192.0.2.53
                                       198.51.100.53
   NetBIOS over Tcpip. . . . . . . . : Enabled
"""
LOG = "It began after lunch.\n" + "\n".join(
    f"2026-04-12 09:{minute:02d}:11 "
    + (
        f"ERROR connect to print01.northwind.example [192.0.2.9] failed: 0x80070005 job {minute}"
        if minute % 7 == 0
        else f"INFO job {minute} queued"
    )
    for minute in range(60)
)
EVENTS = "\n".join(
    f"Log Name: System\nSource: Service Control Manager\nDate: 4/12/2026 9:{n:02d}:00 AM\n"
    f"Event ID: {7031 if n % 3 else 7000}\nLevel: Error\nDescription: The spooler terminated."
    for n in range(12)
)
PYTHON = (
    "Traceback (most recent call last):\n"
    + "".join(f'  File "/opt/app/part{n}.py", line {n}, in call\n    go()\n' for n in range(15))
    + "ConnectionRefusedError: [Errno 111] Connection refused"
)
JAVA = (
    "java.lang.RuntimeException: could not start\n"
    + "".join(f"\tat com.example.Outer{n}.run(Outer.java:{n})\n" for n in range(15))
    + "Caused by: java.net.UnknownHostException: db01.northwind.example\n"
    + "".join(f"\tat com.example.Inner{n}.open(Inner.java:{n})\n" for n in range(15))
)
PROSE = (
    "The user says that her laptop has been slow since the update, and that webmail works. " * 40
)


def facts(text: str) -> dict[str, str]:
    found = evidence(text)
    assert found is not None
    return dict(fact.split(": ", 1) for fact in reversed(found.facts))


def test_ipconfig_gives_its_addresses():
    assert evidence(IPCONFIG) is not None
    found = facts(IPCONFIG)
    assert found["Host"] == "NW-LT-014"
    assert found["Address"] == "192.0.2.41"
    assert found["DNS servers"] == "192.0.2.53, 198.51.100.53"
    assert found["DHCP server"] == "192.0.2.2"
    assert found["DHCP"] == "Yes"
    assert found["Gateway"] == "192.0.2.1"
    assert found["Media"] == "Media disconnected"


def test_a_log_gives_span_codes_hosts_and_each_sort_of_bad_line_once():
    found = evidence(LOG)
    assert found is not None
    assert found.kind is EvidenceKind.LOG
    told = facts(LOG)
    assert told["Time span"] == "2026-04-12 09:00:11 to 2026-04-12 09:59:11"
    assert told["Error codes"] == "0x80070005 (9 times)"
    assert told["Addresses"] == "192.0.2.9"
    assert told["Hosts"] == "print01.northwind.example"
    assert found.lines[0] == "It began after lunch.", "somebody's own words before the paste stay"
    assert sum("0x80070005" in line for line in found.lines) == 1
    digest = found.digest("pasted log 1.txt")
    assert "61 lines; kept whole as pasted log 1.txt" in digest
    assert len(digest) < len(LOG) / 3


def test_events_are_counted():
    found = facts(EVENTS)
    assert found["Event ids"] == "7031 (8 times), 7000 (4 times)"
    assert found["Sources"] == "Service Control Manager (12 times)"
    assert found["Time span"].startswith("4/12/2026 9:00:00 AM")


@pytest.mark.parametrize(
    ("text", "head", "frame"),
    [
        (PYTHON, "ConnectionRefusedError: [Errno 111] Connection refused", "part14.py"),
        (JAVA, "java.net.UnknownHostException: db01.northwind.example", "Inner0.open"),
    ],
    ids=["python", "java"],
)
def test_a_trace_gives_its_first_cause_and_innermost_frame(text: str, head: str, frame: str):
    found = evidence(text)
    assert found is not None
    assert found.kind is EvidenceKind.STACK_TRACE
    assert f"Exception: {head}" in found.facts
    assert frame in next(fact for fact in found.facts if fact.startswith("Frame: "))


@pytest.mark.parametrize("text", ["", "short", "a\nb\nc", PROSE, PROSE + "\n\n" + PROSE])
def test_own_words_and_short_texts_are_no_evidence(text: str):
    assert evidence(text) is None


@given(st.text(max_size=6_000))
def test_any_text_is_read_without_an_error(text: str):
    found = evidence(text)
    assert found is None or len(found.lines) <= KEPT_LINES


@pytest.mark.parametrize("letter", ["a", "a.", "1.", "0x", " ", "-", "error ", "\tat x("])
def test_long_runs_take_no_time(letter: str):
    began = time.perf_counter()
    evidence((letter * 4_000 + "\n") * 30)
    assert time.perf_counter() - began < 5
