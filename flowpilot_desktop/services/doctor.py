"""A self-test of everything FlowPilot stands on, with a fix for each finding.

``flowpilot doctor`` prints it, the diagnostics page shows it. Every check is independent and has a
time limit of its own, so a system that hangs costs its own line and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.errors import FlowPilotError, ModelError
from flowpilot_desktop.core.ports import Secrets
from flowpilot_desktop.diagnostics import FAULTS, last_fault, versions
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.services.model_access import ModelAccess
from flowpilot_desktop.services.queue import QueueLink
from flowpilot_desktop.services.tickets import Tickets
from flowpilot_desktop.store import Store

log = logging.getLogger(__name__)

TIME_LIMIT = 25.0
"""Seconds for one check."""
LOW_DISK = 200_000_000
TOLERATED_SKEW = 120.0
"""Seconds by which this computer's clock may differ from a server's."""
_PROBE = "doctor-probe"
_NO_KEYRING = (
    "Set up the system's keyring (on Linux a Secret Service such as gnome-keyring), then enter the "
    "keys again in Settings."
)


_ODD = "Send this report and the log of the profile folder to support."
_SEND_FAULTS = (
    f"Send {FAULTS} from the logs in the profile folder to support, then delete it. It holds "
    "places in the program, no words of yours."
)
_AFTER_RECOVERY = (
    "Look through the latest sessions in the History for what may be missing; the damaged files "
    "are kept for whoever helps you."
)


class Verdict(StrEnum):
    """How a check went."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``fix`` says what to do and is empty for what is good."""

    check: str
    verdict: Verdict
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return {key: str(value) for key, value in asdict(self).items()}


Check = Callable[[], Awaitable[list[Finding]]]


class Doctor:
    """Runs the checks, all at once, and returns their findings in a fixed order."""

    def __init__(
        self,
        *,
        profile: Path,
        store: Store,
        secrets: Secrets,
        tickets: Tickets,
        access: ModelAccess,
        flows: Callable[[], Awaitable[FlowLibrary]],
        link: QueueLink,
    ) -> None:
        self._profile = profile
        self._store = store
        self._secrets = secrets
        self._tickets = tickets
        self._access = access
        self._flows = flows
        self._link = link

    async def examine(self) -> list[Finding]:
        """Return all findings; never raises for the world."""
        checks: list[tuple[str, Check]] = [
            ("Versions", self._versions),
            ("Profile", self._profile_folder),
            ("Store", self._store_state),
            ("Flows", self._flow_files),
            ("Keyring", self._keyring),
            ("ConnectWise", self._psa),
            ("Claude", self._model),
            ("Team queue", self._queue),
        ]
        found = await asyncio.gather(*(self._limited(name, check) for name, check in checks))
        return [finding for findings in found for finding in findings]

    async def _limited(self, name: str, check: Check) -> list[Finding]:
        try:
            async with asyncio.timeout(TIME_LIMIT):
                return await check()
        except TimeoutError:
            return [
                Finding(
                    name,
                    Verdict.BAD,
                    f"No answer within {TIME_LIMIT:.0f} seconds.",
                    "Check the network and whether a window of the system asks for something.",
                )
            ]
        except FlowPilotError as error:
            return [_told(name, error)]
        except Exception as error:
            log.exception("The doctor's check %s failed", name)
            what = error.strerror if isinstance(error, OSError) else type(error).__name__
            return [Finding(name, Verdict.BAD, f"It could not be examined ({what}).", _ODD)]

    async def _versions(self) -> list[Finding]:
        return [Finding(name, Verdict.GOOD, value) for name, value in versions().items()]

    async def _profile_folder(self) -> list[Finding]:
        free = (await asyncio.to_thread(shutil.disk_usage, self._profile)).free
        low = free < LOW_DISK
        fault = last_fault(self._profile / "logs")
        noted = f"A fault was noted on {fault:%d %b %Y at %H:%M}." if fault else ""
        return [
            Finding("Profile folder", Verdict.GOOD, str(self._profile)),
            *([Finding("Faults", Verdict.NOTE, noted, _SEND_FAULTS)] if fault else ()),
            Finding(
                "Disk",
                Verdict.BAD if low else Verdict.GOOD,
                f"{free / 1e9:.1f} GB free",
                "Free some space; saving stops when the disk is full." if low else "",
            ),
        ]

    async def _store_state(self) -> list[Finding]:
        recovery = self._store.report.recovery
        faults = await self._store.integrity_faults()
        if faults:
            return [
                Finding(
                    "Store",
                    Verdict.BAD,
                    f"The database reports: {faults[0]}",
                    "Quit FlowPilot and start it again: it restores the newest backup and carries "
                    "over what is readable.",
                )
            ]
        if recovery is not None:
            return [Finding("Store", Verdict.NOTE, recovery.words, _AFTER_RECOVERY)]
        return [Finding("Store", Verdict.GOOD, "Intact.")]

    async def _flow_files(self) -> list[Finding]:
        library = await self._flows()
        count = len(library.flows)
        findings = [
            Finding("Flows", Verdict.GOOD, f"{counted(count, 'flow is', 'flows are')} ready.")
        ]
        findings += [
            Finding("Flow file", Verdict.BAD, str(fault), "Mend the file or remove it.")
            for fault in library.findings
        ]
        return findings

    async def _keyring(self) -> list[Finding]:
        await self._secrets.write(_PROBE, "probe")
        kept = await self._secrets.read(_PROBE)
        await self._secrets.delete(_PROBE)
        name = getattr(self._secrets, "backend", "keyring")
        missing = str(getattr(self._secrets, "words", ""))
        if missing:
            return [Finding("Keyring", Verdict.BAD, missing, _NO_KEYRING)]
        if kept != "probe":
            return [
                Finding(
                    "Keyring",
                    Verdict.BAD,
                    f"{name} does not return what was stored in it.",
                    "Unlock the system keyring, or set another one up.",
                )
            ]
        return [Finding("Keyring", Verdict.GOOD, f"{name} keeps and returns secrets.")]

    async def _psa(self) -> list[Finding]:
        connection = await self._tickets.connection()
        if connection is None:
            return [
                Finding(
                    "ConnectWise",
                    Verdict.NOTE,
                    "Not set up.",
                    "Connect it in Settings → Integrations.",
                )
            ]
        test = await self._tickets.test(connection, None)
        findings = [Finding("ConnectWise", Verdict.GOOD, f"{test.server} {test.version}".strip())]
        skew = test.clock_skew_seconds
        if skew is not None:
            off = abs(skew) > TOLERATED_SKEW
            findings.append(
                Finding(
                    "Clock",
                    Verdict.BAD if off else Verdict.GOOD,
                    _told_skew(skew),
                    "Let the operating system set the time by itself." if off else "",
                )
            )
        findings += [
            Finding(
                f"ConnectWise: {check.what}",
                Verdict.GOOD if check.passed else Verdict.BAD,
                "Allowed." if check.passed else "Not allowed.",
                check.fix,
            )
            for check in test.checks
        ]
        return findings

    async def _model(self) -> list[Finding]:
        try:
            models = await (await self._access.model()).models()
        except ModelError as error:
            reason = getattr(error, "reason", "")
            verdict = Verdict.NOTE if reason == "no_key" else Verdict.BAD
            return [_told("Claude", error, verdict)]
        return [Finding("Claude", Verdict.GOOD, f"{counted(len(models), 'model')} can be used.")]

    async def _queue(self) -> list[Finding]:
        if not await self._link.is_set_up():
            fix = "Paste your invitation in Settings → Team queue."
            return [Finding("Team queue", Verdict.NOTE, "Not set up.", fix)]
        team = await self._link.test("")
        members = sum(one.is_active for one in team.members)
        reached = f"{team.name}, as {team.me.name}; {counted(members, 'member')}."
        if team.may_write:
            return [Finding("Team queue", Verdict.GOOD, f"{reached} {team.notice}".strip())]
        fix = "Ask whoever runs the team queue to let you write, or update FlowPilot."
        told = team.notice or "It can be read only."
        return [
            Finding("Team queue", Verdict.GOOD, reached),
            Finding("Team queue: hand over", Verdict.BAD, told, fix),
        ]


def _told(name: str, error: FlowPilotError, verdict: Verdict = Verdict.BAD) -> Finding:
    return Finding(name, verdict, error.message, error.hint or error.title)


def _told_skew(seconds: float) -> str:
    if abs(seconds) < 1:
        return "In step with the server."
    return f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} the server."
