"""What a desktop shell is to an application, over the session bus: a tray and notifications.

The tray speaks StatusNotifierWatcher and, towards the icons, StatusNotifierItem and dbusmenu; the
notifications are ``org.freedesktop.Notifications``. A test reads what a person would see (icon,
tip, menu, notifications with their buttons) and does what a person does: clicks.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from dbus_fast import Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import (
    DBusBool,
    DBusDict,
    DBusInt32,
    DBusSignature,
    DBusStr,
    DBusUInt32,
)
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

Texts = Annotated[list[str], DBusSignature("as")]
FourTexts = Annotated[list[str], DBusSignature("ssss")]
NumberAndKey = Annotated[list[Any], DBusSignature("us")]
TwoNumbers = Annotated[list[int], DBusSignature("uu")]

_WATCHER = "org.kde.StatusNotifierWatcher"
_CLOSED_BY_PERSON = 2
_CLOSED_BY_CALL = 3


@dataclass(frozen=True, slots=True)
class Notification:
    """One on the screen; ``actions`` maps what a button is called inside to its words."""

    number: int
    title: str
    text: str
    actions: dict[str, str]


# Method names are the protocols'.


class Notifications(ServiceInterface):
    """The notification service: keeps what is shown and lets a person act on it."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")
        self.shown: list[Notification] = []
        self.every: list[Notification] = []
        self.has_actions = True

    # What a person does

    def click(self, notification: Notification) -> None:
        """Click on its body."""
        self._act(notification, "default")

    def press(self, notification: Notification, words: str) -> None:
        """Press one of its buttons."""
        key = next(key for key, told in notification.actions.items() if told == words)
        self._act(notification, key)

    def _act(self, notification: Notification, key: str) -> None:
        assert notification in self.shown, "that notification is gone"
        assert key in notification.actions, "that notification offers no such action"
        self.ActionInvoked(notification.number, key)
        self._close(notification.number, _CLOSED_BY_PERSON)

    def _close(self, number: int, why: int) -> None:
        self.shown = [one for one in self.shown if one.number != number]
        self.NotificationClosed(number, why)

    # The protocol

    @dbus_method()
    def GetCapabilities(self) -> Texts:  # noqa: N802
        return ["body", "actions"] if self.has_actions else ["body"]

    @dbus_method()
    def GetServerInformation(self) -> FourTexts:  # noqa: N802
        return ["Test shell", "FlowPilot", "1", "1.2"]

    @dbus_method()
    def Notify(  # noqa: N802, PLR0917
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        text: DBusStr,
        actions: Texts,
        hints: DBusDict,
        timeout: DBusInt32,
    ) -> DBusUInt32:
        number = len(self.every) + 1
        told = Notification(
            number, title, text, dict(zip(actions[::2], actions[1::2], strict=True))
        )
        self.every.append(told)
        self.shown.append(told)
        return number

    @dbus_method()
    def CloseNotification(self, number: DBusUInt32) -> None:  # noqa: N802
        self._close(number, _CLOSED_BY_CALL)

    @dbus_signal()
    def ActionInvoked(self, number: int, key: str) -> NumberAndKey:  # noqa: N802
        return [number, key]

    @dbus_signal()
    def NotificationClosed(self, number: int, why: int) -> TwoNumbers:  # noqa: N802
        return [number, why]


class Watcher(ServiceInterface):
    """The tray's register: icons tell it that they are there."""

    def __init__(self) -> None:
        super().__init__(_WATCHER)
        self.items: list[str] = []

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: DBusStr) -> None:  # noqa: N802
        self.items.append(service)

    @dbus_method()
    def RegisterStatusNotifierHost(self, service: DBusStr) -> None:  # noqa: N802
        return None

    @dbus_property(access=PropertyAccess.READ)
    def RegisteredStatusNotifierItems(self) -> Texts:  # noqa: N802
        return self.items

    @dbus_property(access=PropertyAccess.READ)
    def IsStatusNotifierHostRegistered(self) -> DBusBool:  # noqa: N802
        return True

    @dbus_property(access=PropertyAccess.READ)
    def ProtocolVersion(self) -> DBusInt32:  # noqa: N802
        return 0


class TrayIcon:
    """An icon as the tray sees it."""

    def __init__(self, bus: MessageBus, service: str) -> None:
        self._bus = bus
        self.service = service

    async def _interface(self, path: str, name: str) -> Any:
        introspection = await self._bus.introspect(self.service, path)
        return self._bus.get_proxy_object(self.service, path, introspection).get_interface(name)

    async def _item(self) -> Any:
        return await self._interface("/StatusNotifierItem", "org.kde.StatusNotifierItem")

    async def tip(self) -> str:
        """Return the words that show under the mouse."""
        _, _, title, text = await (await self._item()).get_tool_tip()
        return str(title or text)

    async def picture(self) -> tuple[int, int, bytes]:
        """Return width, height and ARGB bytes of the largest picture."""
        pictures = await (await self._item()).get_icon_pixmap()
        width, height, pixels = max(pictures, key=lambda one: int(one[0]))
        return int(width), int(height), bytes(pixels)

    async def click(self) -> None:
        """Click with the left button."""
        await (await self._item()).call_activate(0, 0)

    async def menu(self) -> dict[str, int]:
        """Return the menu's entries in their order, with the numbers they go by."""
        layout = await self._layout()
        return {
            str(entry.value[1]["label"].value).replace("_", ""): int(entry.value[0])
            for entry in layout[2]
            if "label" in entry.value[1]
        }

    async def checked(self) -> set[str]:
        """Return the entries that carry a tick."""
        layout = await self._layout()
        return {
            str(entry.value[1]["label"].value).replace("_", "")
            for entry in layout[2]
            if entry.value[1].get("toggle-state", Variant("i", 0)).value == 1
        }

    async def choose(self, words: str) -> None:
        """Choose an entry of the menu."""
        entries = await self.menu()
        menu = await self._menu()
        await menu.call_event(entries[words], "clicked", Variant("s", ""), 0)

    async def _menu(self) -> Any:
        path = await (await self._item()).get_menu()
        return await self._interface(path, "com.canonical.dbusmenu")

    async def _layout(self) -> Any:
        menu = await self._menu()
        await menu.call_about_to_show(0)
        _, layout = await menu.call_get_layout(0, -1, [])
        return layout


class DesktopShell:
    """Tray and notifications of one session."""

    def __init__(self, bus: MessageBus, *, has_tray: bool) -> None:
        self._bus = bus
        self.has_tray = has_tray
        self.notifications = Notifications()
        self.watcher = Watcher()

    @property
    def icons(self) -> list[TrayIcon]:
        """The icons in the tray, in the order of their coming."""
        return [TrayIcon(self._bus, service) for service in self.watcher.items]

    async def lose_tray(self) -> None:
        """Let the tray go away, as when a panel crashes."""
        await self._bus.release_name(_WATCHER)


@asynccontextmanager
async def desktop_shell(
    *, tray: bool = True, notifications: bool = True
) -> AsyncIterator[DesktopShell]:
    """Be the shell of the session that the environment names."""
    bus = await MessageBus().connect()
    shell = DesktopShell(bus, has_tray=tray)
    if notifications:
        bus.export("/org/freedesktop/Notifications", shell.notifications)
        await bus.request_name("org.freedesktop.Notifications")
    if tray:
        bus.export("/StatusNotifierWatcher", shell.watcher)
        await bus.request_name(_WATCHER)
    try:
        yield shell
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # theirs
