"""Long pastes are read on this computer: kind, facts, the lines that matter."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.evidence import KEPT_LINES, WORDS_LIMIT, EvidenceKind, evidence

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
    assert found["Ethernet adapter Ethernet"] == "Media: Media disconnected"
    assert found["Wireless LAN adapter Wi-Fi"] == (
        "DNS suffix: northwind.example; Adapter: Wi-Fi 6 AX201; DHCP: Yes; Address: 192.0.2.41; "
        "Mask: 255.255.255.0; Lease until: Tuesday 10:11:12; Gateway: 192.0.2.1; "
        "DHCP server: 192.0.2.2; DNS servers: 192.0.2.53, 198.51.100.53"
    )


def test_ipconfig_keeps_apart_what_belongs_to_two_adapters():
    second = "Ethernet adapter VPN:\n\n   IPv4 Address. . . . . . . . . . . : 198.51.100.9\n"
    found = facts(IPCONFIG + "\n" + second)
    assert found["Ethernet adapter VPN"] == "Address: 198.51.100.9"
    assert "198.51.100.9" not in found["Wireless LAN adapter Wi-Fi"]


def test_ipconfig_in_german():
    german = """
Windows-IP-Konfiguration

   Hostname  . . . . . . . . . . . . : NW-LT-014
   Primäres DNS-Suffix . . . . . . . :

Ethernet-Adapter Ethernet:

   Verbindungsspezifisches DNS-Suffix: northwind.example
   Beschreibung. . . . . . . . . . . : Intel I219-LM
   DHCP aktiviert. . . . . . . . . . : Ja
   IPv4-Adresse  . . . . . . . . . . : 192.0.2.41(Bevorzugt)
   Subnetzmaske  . . . . . . . . . . : 255.255.255.0
   Standardgateway . . . . . . . . . : 192.0.2.1
   DHCP-Server . . . . . . . . . . . : 192.0.2.2
   DNS-Server  . . . . . . . . . . . : 192.0.2.53
                                       198.51.100.53
""" + "\n".join(f"   Zeile {number}" for number in range(12))
    found = facts(german)
    assert found["Host"] == "NW-LT-014"
    assert found["Ethernet-Adapter Ethernet"].endswith(
        "Address: 192.0.2.41; Mask: 255.255.255.0; Gateway: 192.0.2.1; DHCP server: 192.0.2.2; "
        "DNS servers: 192.0.2.53, 198.51.100.53"
    )


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


def test_the_table_that_the_event_viewer_exports_is_read():
    rows = "".join(
        f"Error,4/12/2026 9:{n:02d}:00 AM,Service Control Manager,{7031 if n % 3 else 7000},None,"
        '"The spooler, again, terminated."\n'
        for n in range(30)
    )
    for text in (
        "Level,Date and Time,Source,Event ID,Task Category\n" + rows,
        "Ebene,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie\n" + rows,
        ("Level,Date and Time,Source,Event ID,Task Category\n" + rows).replace(",", "\t"),
    ):
        read = evidence(text)
        assert read is not None
        assert read.kind is EvidenceKind.EVENTS
        found = facts(text)
        assert found["Event ids"] == "7031 (20 times), 7000 (10 times)"
        assert found["Sources"] == "Service Control Manager (30 times)"


def test_events_of_powershell_and_of_xml_are_counted():
    head = (
        "   ProviderName: Application Error\n\nTimeCreated            Id LevelDisplayName Message\n"
    )
    row = "4/12/2026 9:{:02d}:00 AM  1000 Error  Faulting application\n"
    rows = "".join(row.format(n) for n in range(30))
    assert facts(head + rows)["Event ids"] == "1000 (30 times)"
    event = (
        "<Event><System><Provider Name='Disk'/><EventID Qualifiers='32772'>153</EventID>"
        "<TimeCreated SystemTime='2026-04-12T09:00:00Z'/></System></Event>\n"
    )
    found = facts(event * 30)
    assert found["Event ids"] == "153 (30 times)"
    assert found["Sources"] == "Disk (30 times)"


def test_the_end_of_a_very_long_log_is_read():
    info = "".join(f"2026-04-12 09:00:11 INFO job {n} of the night run\n" for n in range(60_000))
    text = info + "2026-04-12 17:12:13 ERROR 0x8007045d the disk is gone\n"
    found = evidence(text)
    assert found is not None
    assert facts(text)["Time span"] == "2026-04-12 09:00:11 to 2026-04-12 17:12:13"
    assert found.lines[-1].endswith("the disk is gone")
    assert len(text) < 2_000_000 or "Read" in facts(text), "what was not read is said"


def test_of_many_bad_lines_the_first_and_the_last_are_kept():
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    text = "".join(f"2026-04-12 09:00:11 ERROR module {word} failed\n" for word in words)
    found = evidence(text)
    assert found is not None
    assert len(found.lines) == KEPT_LINES
    assert "ak failed" in found.lines[0]
    assert "jt failed" in found.lines[-1]


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


def test_words_beyond_what_a_step_holds_keep_their_beginning_and_end():
    days = [
        f"On day {n} it was quiet. " + "Nobody called and nobody wrote. " * 8 for n in range(600)
    ]
    assert len("\n".join(days)) > WORDS_LIMIT
    assert evidence("\n".join(days)[:WORDS_LIMIT]) is None
    days[300] = "On day 300 the scan failed."
    found = evidence("\n".join(days))
    assert found is not None
    assert found.kind is EvidenceKind.TEXT
    assert found.lines[0].startswith("On day 0 ")
    assert "On day 300 the scan failed." in found.lines
    assert found.lines[-1].startswith("On day 599 ")
    one_line = evidence("log line " * 12_000)
    assert one_line is not None
    assert [len(line) for line in one_line.lines] == [300]


@given(st.text(max_size=6_000))
def test_any_text_is_read_without_an_error(text: str):
    found = evidence(text)
    assert found is None or len(found.lines) <= KEPT_LINES


@pytest.mark.parametrize("letter", ["a", "a.", "1.", "0x", " ", "-", "error ", "\tat x("])
def test_long_runs_take_no_time(letter: str):
    began = time.perf_counter()
    evidence((letter * 4_000 + "\n") * 30)
    assert time.perf_counter() - began < 5
