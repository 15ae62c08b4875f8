"""The first start: who you are, ConnectWise, Claude, the team's queue, one step at a time.

Nothing is required. *Next* on a step with something typed tries it and goes on when it works, so
that nobody leaves a step believing that it is set up; *Skip* goes on whatever is there. What is
finished or skipped is remembered in the store, and the set-up does not come back by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum

from PySide6.QtCore import QObject, Signal, Slot

from flowpilot_desktop.viewmodels.settings import PsaForm, SettingsViewModel
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

_REMEMBERED = "welcome"

Remembered = Callable[[str], Awaitable[str | None]]
Remember = Callable[[str, str], Awaitable[None]]


class WelcomeStep(Enum):
    """A step of the set-up, with its title."""

    YOU = "You"
    PSA = "ConnectWise"
    MODEL = "Claude"
    QUEUE = "Team queue"


class WelcomeViewModel(ViewModel):
    """Which step is shown, what is done, and the way on."""

    finished = Signal()

    def __init__(
        self,
        settings: SettingsViewModel,
        remembered: Remembered,
        remember: Remember,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.settings = settings
        self.steps = tuple(WelcomeStep)
        self.step = WelcomeStep.YOU
        self._remembered = remembered
        self._remember = remember
        self._awaited: WelcomeStep | None = None
        self._tried = PsaForm()
        settings.changed.connect(self._settings_changed)
        settings.psa_connected.connect(self._psa_connected)

    async def is_wanted(self) -> bool:
        """Return whether this profile has neither seen the set-up nor done without it."""
        if await self._remembered(_REMEMBERED):
            return False
        return not await self.settings.is_connected()

    @property
    def is_last(self) -> bool:
        """Whether the set-up ends with this step."""
        return self.step is self.steps[-1]

    @property
    def is_first(self) -> bool:
        """Whether there is no step before."""
        return self.step is self.steps[0]

    @property
    def is_busy(self) -> bool:
        """Whether something is being tried."""
        return self.settings.is_testing_psa or self.settings.is_testing_model

    def is_done(self, step: WelcomeStep) -> bool:
        """Whether a step is set up."""
        match step:
            case WelcomeStep.PSA:
                return self.settings.connection is not None
            case WelcomeStep.MODEL:
                return self.settings.has_model_key
            case WelcomeStep.YOU:
                return self.step is not step
            case _:
                return False

    def begin(self) -> None:
        """Show the first step."""
        self.step = self.steps[0]
        self.settings.open()
        self.changed.emit()

    def go_on(self, form: PsaForm | None = None, key: str = "") -> None:
        """Try and keep what was typed on this step, then show the next one."""
        if self.is_busy:
            return
        if self.step is WelcomeStep.PSA and form is not None and self._is_new(form):
            self._awaited, self._tried = self.step, form
            self.settings.connect_psa(form)
        elif self.step is WelcomeStep.MODEL and key.strip():
            self._awaited = self.step
            self.settings.keep_model_key(key)
        else:
            self.skip()

    def go_back(self) -> None:
        """Show the step before."""
        self._awaited = None
        place = self.steps.index(self.step)
        self.step = self.steps[max(0, place - 1)]
        self.changed.emit()

    def skip(self) -> None:
        """Show the next step, whatever is there; after the last one the set-up ends."""
        self._awaited = None
        if self.is_last:
            self.finish()
            return
        self.step = self.steps[self.steps.index(self.step) + 1]
        self.changed.emit()

    def finish(self) -> None:
        """End the set-up for good."""
        self.tasks.start_unless_running("finish", self._finish())

    async def _finish(self) -> None:
        await self._remember(_REMEMBERED, "done")
        self.finished.emit()

    def _is_new(self, form: PsaForm) -> bool:
        """Whether there is something to try that was not tried with success already."""
        return form not in (PsaForm(), self._tried)

    @Slot()
    def _psa_connected(self) -> None:
        """Know the emptied fields of keys that are kept for nothing new to try."""
        self._tried = replace(self._tried, public_key="", private_key="")

    @Slot()
    def _settings_changed(self) -> None:
        if self._awaited is not None and not self.is_busy:
            step, self._awaited = self._awaited, None
            if self._succeeded(step):
                self.skip()
                return
        self.changed.emit()

    def _succeeded(self, step: WelcomeStep) -> bool:
        model = self.settings
        if step is WelcomeStep.MODEL:
            return model.model_error is None
        if model.psa_error is not None:
            self._tried = PsaForm()  # the same again may work: a site can come back
            return False
        return model.psa_test is not None and all(check.passed for check in model.psa_test.checks)
