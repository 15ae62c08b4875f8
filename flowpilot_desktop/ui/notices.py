"""What the window says of the program itself, on its banners: failures, bugs, reports of the start.

A failure stays until it is closed, or until the system that could not be reached is reached again.
"""

from __future__ import annotations

import logging
from functools import partial

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtGui import QGuiApplication

from flowpilot_desktop.core.errors import (
    FlowPilotError,
    ModelUnavailable,
    PsaUnreachable,
    QueueUnreachable,
)
from flowpilot_desktop.core.events import Events, Reach, ReachChanged, System
from flowpilot_desktop.diagnostics import Crash
from flowpilot_desktop.ui.window import MainWindow

log = logging.getLogger(__name__)

_FAULTS_TOLD = 5
_UNREACHABLE: dict[type[FlowPilotError], System] = {
    PsaUnreachable: System.PSA,
    QueueUnreachable: System.QUEUE,
    ModelUnavailable: System.MODEL,
}
"""Failures that are over as soon as their system can be reached again."""


class Notices(QObject):
    """The banners of one window; ``end`` stops listening."""

    def __init__(self, window: MainWindow, events: Events, parent: QObject) -> None:
        super().__init__(parent)
        self._banners = window.banners
        self._unreachable: dict[str, System] = {}
        self._crashes: dict[str, Crash] = {}
        window.banner_acted.connect(self._acted)
        self.end = events.listen(ReachChanged, self._reach_changed)

    @Slot(object)
    def show_failure(self, error: FlowPilotError) -> None:
        """Show what failed, in the error's own words."""
        log.info("Shown to the technician: %s", type(error).__name__)
        key = f"failure {type(error).__name__}"
        for kind, system in _UNREACHABLE.items():
            if isinstance(error, kind):
                self._unreachable[key] = system
        words = f"{error.message} {error.hint}".strip()
        self._banners.show_banner(key, error.title, words, tone="red")

    def show_crash(self, crash: Crash) -> None:
        """Show a bug from the event loop: where it came to the surface nothing may be painted."""
        self._crashes[f"crash {crash.kind}"] = crash
        QTimer.singleShot(0, self, partial(self._show_crash, crash))

    def show_reports(self, settings: str, store: str, keyring: str) -> None:
        """Show what opening the profile found; empty words say nothing."""
        for key, title, words in (
            ("settings", "Settings", settings),
            ("store", "Local store", store),
            ("keyring", "No keyring", keyring),
        ):
            if words:
                self._banners.show_banner(key, title, words, tone="amber")

    def show_flow_faults(self, faults: list[str]) -> None:
        """Name the technician's own flow files that were left out, with their lines."""
        if faults:
            more = f"\nand {len(faults) - _FAULTS_TOLD} more" * (len(faults) > _FAULTS_TOLD)
            self._banners.show_banner(
                "flows",
                "Flow files were left out",
                "\n".join(faults[:_FAULTS_TOLD])
                + f"{more}\nAll other flows work. Mend the file and start FlowPilot again.",
                tone="amber",
            )

    def _show_crash(self, crash: Crash) -> None:
        self._banners.show_banner(
            f"crash {crash.kind}",
            "FlowPilot made a mistake",
            "Your work up to here is saved. A report without secrets can be copied for support.",
            tone="red",
            action="Copy report",
        )

    def _reach_changed(self, event: ReachChanged) -> None:
        """Take away what said that a system can't be reached: it can be again."""
        if event.reach is Reach.REACHABLE:
            for key in [key for key, of in self._unreachable.items() if of is event.system]:
                self._banners.hide_banner(key)
                del self._unreachable[key]

    @Slot(str)
    def _acted(self, key: str) -> None:
        crash = self._crashes.get(key)
        if crash is not None:
            QGuiApplication.clipboard().setText(crash.report)
