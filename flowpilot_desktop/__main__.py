"""FlowPilot's command line: the window, and what an administrator asks without one.

``flowpilot`` opens the window; ``flowpilot doctor`` examines this computer, ``flowpilot flows
check`` validates troubleshooting flows, ``flowpilot export`` writes a session's note to a file or
the terminal. Nothing heavy is imported before it is known what is asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowpilot_desktop import __version__

if TYPE_CHECKING:
    from flowpilot_desktop.composition import Desk
    from flowpilot_desktop.profile import Profile


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.second and not options.demo:
        parser.error("--second goes with --demo")
    if options.command is None:
        from flowpilot_desktop.start import run

        return run(_profile(options), minimized=options.minimized)
    # What the log would say is part of the answer or none of its business.
    logging.getLogger().addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an old code page lacks some of our signs
            stream.reconfigure(errors="replace")
    try:
        return _answered(options)
    except KeyboardInterrupt:
        return 130


def _answered(options: argparse.Namespace) -> int:
    if options.command == "flows":
        return _check_flows(options.paths)
    if options.command == "doctor":
        return asyncio.run(_doctor(_profile(options), as_json=options.json))
    return asyncio.run(_export(_profile(options), options.session, options.output))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowpilot", description="Guided diagnosis and documentation for technicians."
    )
    parser.add_argument("--version", action="version", version=f"FlowPilot {__version__}")
    parser.add_argument("--profile", type=Path, help="the folder that holds everything local")
    parser.add_argument("--demo", action="store_true", help="open the practice company")
    parser.add_argument(
        "--second", action="store_true", help="with --demo: a second technician's desktop"
    )
    parser.add_argument("--minimized", action="store_true", help="start in the tray")
    commands = parser.add_subparsers(dest="command", metavar="command")
    doctor = commands.add_parser("doctor", help="examine this computer and say what to mend")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    flows = commands.add_parser("flows", help="troubleshooting flows")
    checks = flows.add_subparsers(dest="flows_command", required=True, metavar="command")
    check = checks.add_parser("check", help="validate flow files")
    check.add_argument("paths", nargs="*", type=Path, help="files or folders; else the shipped")
    export = commands.add_parser("export", help="write a session's note, redacted")
    export.add_argument("session", help="the session's id")
    export.add_argument("--output", type=Path, help="a file; else the terminal")
    return parser


def _profile(options: argparse.Namespace) -> Profile:
    from flowpilot_desktop.profile import default_profile

    profile = default_profile(demo=options.demo, second=options.second)
    return replace(profile, folder=options.profile) if options.profile else profile


@asynccontextmanager
async def _opened(profile: Profile) -> AsyncIterator[Desk]:
    from flowpilot_desktop.composition import open_desk
    from flowpilot_desktop.core.events import Events
    from flowpilot_desktop.settings import Settings

    events = Events()
    settings = Settings(profile.folder, events)
    async with open_desk(profile, settings=settings, events=events) as desk:
        yield desk


async def _doctor(profile: Profile, *, as_json: bool) -> int:
    from flowpilot_desktop.core.errors import FlowPilotError
    from flowpilot_desktop.diagnostics import versions
    from flowpilot_desktop.services.doctor import Finding, Verdict

    findings: list[Finding] = []
    try:
        async with _opened(profile) as desk:
            if desk.settings.report:
                fix = "Look through the settings and choose again what is missing."
                findings.append(Finding("Settings", Verdict.NOTE, desk.settings.report, fix))
            findings += await desk.doctor.examine()
    except FlowPilotError as error:
        findings += [Finding(name, Verdict.GOOD, value) for name, value in versions().items()]
        findings.append(Finding("Profile", Verdict.BAD, error.message, _way_out(error)))
    if as_json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        marks = {Verdict.GOOD: "ok  ", Verdict.NOTE: "note", Verdict.BAD: "BAD "}
        for finding in findings:
            print(f"{marks[finding.verdict]}  {finding.check}: {finding.detail}")
            if finding.fix:
                print(f"      → {finding.fix}")
    return 1 if any(finding.verdict is Verdict.BAD for finding in findings) else 0


def _check_flows(paths: list[Path]) -> int:
    from flowpilot_desktop import assets
    from flowpilot_desktop.flows.check import check
    from flowpilot_desktop.flows.library import FlowLibrary

    shipped = assets.path("flows")
    beside = FlowLibrary.load(shipped).flows.values() if paths else ()
    report = check(paths or [shipped], beside)
    print(report.text)
    return 0 if report.is_clean else 1


async def _export(profile: Profile, session_id: str, output: Path | None) -> int:
    from flowpilot_desktop.core.errors import FlowPilotError

    try:
        async with _opened(profile) as desk:
            note = (await desk.engine.export(session_id)).text
        if output is None:
            print(note)
        else:
            await asyncio.to_thread(output.write_text, f"{note}\n", encoding="utf-8")
    except (FlowPilotError, OSError) as error:
        print(f"{error} {_way_out(error)}".strip(), file=sys.stderr)
        return 1
    return 0


def _way_out(error: Exception) -> str:
    """Return what to do, for somebody in a terminal: there is no window to bring to the front."""
    from flowpilot_desktop.core.errors import ProfileInUse

    if isinstance(error, ProfileInUse):
        return "Quit it and try again, or use Settings → System and the History in its window."
    return str(getattr(error, "hint", "") or getattr(error, "title", ""))


if __name__ == "__main__":
    sys.exit(main())
