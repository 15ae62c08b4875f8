"""One FlowPilot per profile: a second start raises the first one's window and ends.

The first instance listens on a local socket whose name is derived from the profile folder; a later
one connects to it, says what it was asked to do, and quits. The store's file lock is what really
keeps two processes apart; this is the kind way to find out.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket

REACH_MILLISECONDS = 500
_TRIES, _PAUSE_SECONDS = 50, 0.2
"""A first instance has ten seconds from having the profile until it listens."""
_LONGEST_MESSAGE = 2000


def socket_name(profile: Path) -> str:
    """Return the socket's name, the same for the same folder and user."""
    return "flowpilot-" + hashlib.sha256(str(profile.resolve()).encode()).hexdigest()[:24]


def raise_first_instance(profile: Path, message: str = "raise") -> bool:
    """Ask a running instance to show itself; return whether there was one."""
    socket = QLocalSocket()
    socket.connectToServer(socket_name(profile))
    if not socket.waitForConnected(REACH_MILLISECONDS):
        return False
    socket.write(message.encode() + b"\n")
    socket.waitForBytesWritten(REACH_MILLISECONDS)
    socket.disconnectFromServer()
    return True


async def raise_starting_instance(profile: Path) -> bool:
    """Ask an instance that has the profile and may still be starting; return whether it heard."""
    for _ in range(_TRIES):
        if raise_first_instance(profile):
            return True
        await asyncio.sleep(_PAUSE_SECONDS)
    return False


class FirstInstance(QObject):
    """Listens for later starts of the same profile."""

    asked = Signal(str)

    def __init__(self, profile: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        name = socket_name(profile)
        QLocalServer.removeServer(name)  # left behind by a crash; nobody answered on it
        self._server.newConnection.connect(self._connected)
        self._server.listen(name)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    @Slot()
    def _connected(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.setParent(self)
            socket.readyRead.connect(self._read)
            socket.disconnected.connect(socket.deleteLater)
            if socket.bytesAvailable():
                self._take(socket)

    @Slot()
    def _read(self) -> None:
        socket = self.sender()
        if isinstance(socket, QLocalSocket):
            self._take(socket)

    def _take(self, socket: QLocalSocket) -> None:
        message = bytes(socket.read(_LONGEST_MESSAGE).data()).decode("utf-8", "replace").strip()
        if message:
            self.asked.emit(message)
