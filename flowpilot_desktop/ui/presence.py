"""Whether somebody is at this computer: nobody waits for news on a desk that was left.

The operating system is asked how long ago a key or the mouse was last touched, in whatever
program. A hidden window says nothing: its technician works elsewhere and counts on the tray within
seconds. A locked screen is one that nobody touches. Where the system can't be asked, somebody
counts as there.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import sys
from collections.abc import Callable

from PySide6.QtGui import QGuiApplication

log = logging.getLogger(__name__)

AWAY_AFTER = 300.0
"""Seconds without any input after which nobody is there."""


class Presence:
    """Knows whether somebody is there."""

    def __init__(self) -> None:
        self.seconds_without_input: Callable[[], float | None] = _asker()

    @property
    def is_away(self) -> bool:
        """Whether nobody has touched this computer for a while."""
        seconds = self.seconds_without_input()
        return seconds is not None and seconds >= AWAY_AFTER


def _asker() -> Callable[[], float | None]:
    try:
        return _system()
    except (OSError, AttributeError, TypeError) as error:
        log.info("Nobody can say when this computer was last touched: %s", error)
        return _unknown


def _unknown() -> float | None:
    return None


if sys.platform == "win32":

    class _LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint32), ("tick", ctypes.c_uint32))

    def _system() -> Callable[[], float | None]:
        user, kernel = ctypes.windll.user32, ctypes.windll.kernel32
        kernel.GetTickCount.restype = ctypes.c_uint32
        last = _LastInput(ctypes.sizeof(_LastInput))

        def seconds() -> float | None:
            if not user.GetLastInputInfo(ctypes.byref(last)):
                return None
            # The counter begins anew after 49 days.
            return int((kernel.GetTickCount() - last.tick) & 0xFFFFFFFF) / 1000

        return seconds

elif sys.platform == "darwin":
    _EVERY_HARDWARE, _ANY_INPUT = 1, 0xFFFFFFFF

    def _system() -> Callable[[], float | None]:
        services = ctypes.CDLL(ctypes.util.find_library("ApplicationServices"))
        since = services.CGEventSourceSecondsSinceLastEventType
        since.restype, since.argtypes = ctypes.c_double, (ctypes.c_int32, ctypes.c_uint32)

        def seconds() -> float | None:
            return float(since(_EVERY_HARDWARE, _ANY_INPUT))

        return seconds

else:

    class _ScreenSaver(ctypes.Structure):
        _fields_ = (
            ("window", ctypes.c_ulong),
            ("state", ctypes.c_int),
            ("kind", ctypes.c_int),
            ("since", ctypes.c_ulong),
            ("idle", ctypes.c_ulong),
            ("mask", ctypes.c_ulong),
        )

    def _system() -> Callable[[], float | None]:
        if QGuiApplication.platformName() != "xcb":
            return _unknown
        x11, saver = (ctypes.CDLL(ctypes.util.find_library(name)) for name in ("X11", "Xss"))
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XDefaultRootWindow.restype = ctypes.c_ulong
        x11.XDefaultRootWindow.argtypes = (ctypes.c_void_p,)
        query = saver.XScreenSaverQueryInfo
        query.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(_ScreenSaver))
        display = x11.XOpenDisplay(None)  # one for as long as the program runs
        if not display:
            return _unknown
        told = _ScreenSaver()

        def seconds() -> float | None:
            root = x11.XDefaultRootWindow(display)
            return told.idle / 1000 if query(display, root, ctypes.byref(told)) else None

        return seconds
