"""Everything that can be done from the keyboard: one register, each action named once.

The command palette, the list of shortcuts and the window's key bindings are drawn from it, so what
is registered can be found in all three.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence

CARD_KEYS = (
    ("1 … 9", "Choose that answer on the open card"),
    ("any letter", "Begin to type into the open card"),
    ("Enter", "Send what was typed"),
    ("Shift+Enter", "New line"),
    ("Up, Down", "Go from card to card"),
    ("Home, End", "First card, latest card"),
    ("Esc", "Stop Claude; close what is open"),
)
"""Keys that belong to the cards and not to any action; the list of shortcuts ends with them."""


class Actions(QObject):
    """The register. ``added(QAction)`` tells the window to bind the keys."""

    added = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._actions: dict[str, QAction] = {}

    def add(
        self, name: str, title: str, run: Callable[[], object], shortcut: str = "", group: str = ""
    ) -> QAction:
        """Register an action and return it. ``run`` is a bound method without parameters."""
        if name in self._actions:
            raise ValueError(f"The action {name!r} is registered already")
        sequence = QKeySequence(shortcut)
        if shortcut and any(sequence == action.shortcut() for action in self._actions.values()):
            raise ValueError(f"The shortcut {shortcut} of {name!r} belongs to another action")
        action = QAction(title, self)
        action.setObjectName(name)
        action.setProperty("group", group)
        if shortcut:
            action.setShortcut(sequence)
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(run)
        self._actions[name] = action
        self.added.emit(action)
        return action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    @property
    def all(self) -> tuple[QAction, ...]:
        """Every action, in the order of registration."""
        return tuple(self._actions.values())


def shortcut_words(action: QAction) -> str:
    """Return an action's shortcut as this system writes it."""
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
