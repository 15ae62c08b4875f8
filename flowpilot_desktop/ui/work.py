"""What a site may need to know of a time entry: kind of work, role, billing.

An empty choice leaves it to ConnectWise.
"""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from flowpilot_desktop.core.ticket import Reference
from flowpilot_desktop.services.tickets import TimeChoice
from flowpilot_desktop.ui.fields import Choice
from flowpilot_desktop.ui.theme import theme

_BILLINGS = (
    ("As agreed", ""),
    ("Billable", "Billable"),
    ("Do not bill", "DoNotBill"),
    ("No charge", "NoCharge"),
)


class WorkEdit(QWidget):
    """Three choices in a row; ``chosen`` carries them as a TimeChoice."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme().px(8))
        self.work_type, self.work_role, self.billable = (Choice(self) for _ in range(3))
        for box, name in (
            (self.work_type, "Work type"),
            (self.work_role, "Work role"),
            (self.billable, "Billing"),
        ):
            box.setAccessibleName(name)
            box.activated.connect(self._activated)
            line.addWidget(box)
        for label, value in _BILLINGS:
            self.billable.addItem(label, value)

    @property
    def work(self) -> TimeChoice:
        """What is chosen."""
        return TimeChoice(
            self.work_type.currentData() or Reference(),
            self.work_role.currentData() or Reference(),
            self.billable.currentData() or "",
        )

    def offer(self, types: tuple[Reference, ...], roles: tuple[Reference, ...]) -> None:
        """Offer what the site has, and keep what is chosen."""
        self.show_work(self.work, types, roles)

    def show_work(
        self, work: TimeChoice, types: tuple[Reference, ...], roles: tuple[Reference, ...]
    ) -> None:
        """Show a choice among what the site has."""
        _fill(self.work_type, "Usual work type", types, work.work_type)
        _fill(self.work_role, "Usual work role", roles, work.work_role)
        with QSignalBlocker(self.billable):
            self.billable.setCurrentIndex(max(0, self.billable.findData(work.billable)))

    @Slot(int)
    def _activated(self, _: int) -> None:
        self.chosen.emit(self.work)


def _fill(box: Choice, nothing: str, offered: tuple[Reference, ...], chosen: Reference) -> None:
    """Offer what the site has, and what was chosen even when that can't be asked for now."""
    wanted = [Reference(), *offered]
    if chosen.id and chosen.id not in {one.id for one in offered}:
        wanted.append(chosen)
    with QSignalBlocker(box):
        if [box.itemData(place) for place in range(box.count())] != wanted:
            box.clear()
            for one in wanted:
                box.addItem(one.name if one.id else nothing, one)
        box.setCurrentIndex([one.id for one in wanted].index(chosen.id))
