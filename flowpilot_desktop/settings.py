"""What a technician can choose: declared once here, kept in one JSON file of the profile.

A ``Setting`` is a key, a default and the words for the settings page, which is drawn from the
declarations in ``Settings``. ``settings.theme`` is the value, ``Settings.theme`` the declaration::

    await settings.change(Settings.theme, Theme.DARK)

The file holds only what differs from the defaults, so a better default reaches everybody. It is
written to a temporary file, synced and put in place, away from the screen's thread. A file that
was cut short or holds nonsense is kept aside; what can be read of it stays, the rest becomes the
default, and ``report`` says so. Keys of a newer FlowPilot are carried along untouched.
Secrets are no settings: they live in the keyring.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import math
import os
import threading
import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.errors import InvalidInput, StoreError, StoreFull
from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.core.private_folder import make_private
from flowpilot_desktop.core.timing import Rounding
from flowpilot_desktop.core.visibility import NoteVisibility

if TYPE_CHECKING:
    from flowpilot_desktop.core.session import Engineer

log = logging.getLogger(__name__)
T = TypeVar("T")

FILE_NAME = "settings.json"


class Section(Enum):
    """A page of the settings, with its title."""

    YOU = "You"
    APPEARANCE = "Appearance"
    INTEGRATIONS = "Integrations"
    CLAUDE = "Claude"
    TEAM_QUEUE = "Team queue"
    ALERTS = "Alerts"
    SYSTEM = "System"


class Theme(StrEnum):
    """Light or dark."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class LogLevel(StrEnum):
    """How much is written to the log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A part of every day, in local time, without notifications; may go over midnight.

    Equal ends mean none.
    """

    start: time = time(0)
    end: time = time(0)

    def cover(self, moment: time) -> bool:
        """Return whether the local time of day is inside; the end is not."""
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """US dollars for a million tokens of each sort."""

    input: float
    output: float
    cache_write: float
    cache_read: float


Prices = Mapping[str, TokenPrice]


# How values are written


@dataclass(frozen=True, slots=True)
class _Form:
    """A type's way into JSON and back; both raise for what is no such value."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return check


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _line(value: Any) -> str:
    text: str = _exactly(str)(value)
    text.encode()
    return text.replace("\x00", "").strip()


def _lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(dict.fromkeys(line for line in map(_line, value) if line))


def _read_hours(value: Any) -> QuietHours:
    return QuietHours(time.fromisoformat(value["start"]), time.fromisoformat(value["end"]))


def _write_hours(hours: QuietHours) -> dict[str, str]:
    return {"start": f"{hours.start:%H:%M}", "end": f"{hours.end:%H:%M}"}


def _read_prices(value: Any) -> Prices:
    if not isinstance(value, dict):
        raise TypeError
    prices = {_line(name): TokenPrice(*map(_number, price)) for name, price in value.items()}
    if any(min(p.input, p.output, p.cache_write, p.cache_read) < 0 for p in prices.values()):
        raise ValueError
    return MappingProxyType(prices)


def _write_prices(prices: Prices) -> dict[str, list[float]]:
    return {
        name: [price.input, price.output, price.cache_write, price.cache_read]
        for name, price in prices.items()
    }


def _form_of(default: object) -> _Form:
    match default:
        case Enum():
            return _Form(lambda one: type(default)(one).value, type(default))
        case bool():
            return _Form(_exactly(bool), _exactly(bool))
        case int():
            return _Form(_exactly(int), _exactly(int))
        case float():
            return _Form(_number, _number)
        case str():
            return _Form(_line, _line)
        case tuple():
            return _Form(lambda lines: list(_lines(lines)), _lines)
        case QuietHours():
            return _Form(_write_hours, _read_hours)
        case Mapping():
            return _Form(_write_prices, _read_prices)
    raise TypeError(f"Nobody has said how a {type(default).__name__} is written")


# The declarations


class Setting(Generic[T]):
    """One thing to choose. ``choices`` are (value, label); ``least`` and ``most`` bound numbers.

    ``shown`` is False for what is set elsewhere than on the settings page.
    """

    def __init__(
        self,
        key: str,
        default: T,
        *,
        section: Section,
        title: str,
        help: str,  # noqa: A002 - it is what the page calls it
        choices: Iterable[tuple[T, str]] = (),
        least: float = -math.inf,
        most: float = math.inf,
        unit: str = "",
        check: Callable[[T], str] | None = None,
        shown: bool = True,
    ) -> None:
        self.key = key
        self.default = default
        self.section = section
        self.title = title
        self.help = help
        self.choices = tuple(choices)
        self.least = least
        self.most = most
        self.unit = unit
        self.shown = shown
        self._check = check
        self._form = _form_of(default)

    @property
    def kind(self) -> type:
        """The type of its value: what the page draws depends on it."""
        return type(self.default)

    @overload
    def __get__(self, settings: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, settings: Settings, owner: type) -> T: ...
    def __get__(self, settings: Settings | None, owner: type) -> Setting[T] | T:
        return self if settings is None else settings.value(self)

    def checked(self, value: T) -> T:
        """Return the value as it is kept, or raise InvalidInput in words for the page."""
        try:
            value = self._form.read(self._form.write(value))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise InvalidInput(f"“{self.title}” can't be set to this.") from error
        if isinstance(value, int | float) and not self.least <= value <= self.most:
            raise InvalidInput(f"“{self.title}” must lie between {self.least:g} and {self.most:g}.")
        if isinstance(value, Enum) and value not in {choice for choice, _ in self.choices}:
            raise InvalidInput(f"“{self.title}” must be one of the choices.")
        fault = self._check(value) if self._check is not None else ""
        if fault:
            raise InvalidInput(fault)
        return value

    def from_json(self, value: Any) -> T:
        """Return what the file says, or raise InvalidInput."""
        try:
            read: T = self._form.read(value)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise InvalidInput(f"“{self.title}” could not be read.") from error
        return self.checked(read)

    def to_json(self, value: T) -> Any:
        """Return what the file is to say."""
        return self._form.write(value)


def _no_fault_in_address(address: str) -> str:
    if not address or address.startswith("https://"):
        return ""
    local = (
        "http://localhost",
        "http://127.0.0.1",
        "http://[::1]",
        "http://10.",
        "http://192.168.",
    )
    if address.startswith(local):
        return ""
    return "The address must begin with https://; http:// is for this computer and its own network."


def _some_text(what: str) -> Callable[[str], str]:
    return lambda value: "" if value.strip() else f"{what} can't be empty."


class Settings:
    """The values of one profile."""

    engineer_id = Setting(
        "engineer.id",
        "",
        section=Section.YOU,
        title="Engineer id",
        help="Names you in sessions and on the team's queue. It is given once and stays.",
        shown=False,
    )
    engineer_name = Setting(
        "engineer.name",
        "",
        section=Section.YOU,
        title="Your name",
        help="Stands in notes and on escalations, as your teammates know you.",
    )
    engineer_email = Setting(
        "engineer.email",
        "",
        section=Section.YOU,
        title="Your e-mail address",
        help="Finds you among the members of ConnectWise. It is sent nowhere else.",
    )

    theme = Setting(
        "appearance.theme",
        Theme.SYSTEM,
        section=Section.APPEARANCE,
        title="Theme",
        help="Light, dark, or whatever the system shows at the moment.",
        choices=[
            (Theme.SYSTEM, "Like the system"),
            (Theme.LIGHT, "Light"),
            (Theme.DARK, "Dark"),
        ],
    )
    zoom = Setting(
        "appearance.zoom",
        100,
        section=Section.APPEARANCE,
        title="Text size",
        help="How large text is, compared with the system's own size.",
        least=70,
        most=200,
        unit="%",
    )

    auto_push = Setting(
        "documentation.auto_push",
        True,  # noqa: FBT003 - a switch's default
        section=Section.INTEGRATIONS,
        title="Auto-push documentation",
        help="When a session ends, its note goes to the ticket by itself. You see and edit it "
        "first.",
    )
    auto_time_entry = Setting(
        "documentation.auto_time_entry",
        True,  # noqa: FBT003
        section=Section.INTEGRATIONS,
        title="Auto-create time entry",
        help="Your own active time becomes a time entry. Pauses are not billed. Needs your "
        "ConnectWise member to be mapped.",
    )
    time_rounding = Setting(
        "documentation.time_rounding",
        Rounding.NEAREST_15,
        section=Section.INTEGRATIONS,
        title="Time rounding",
        help="How worked time becomes billed time. What is above zero never becomes zero.",
        choices=[
            (Rounding.NEAREST_15, "Nearest 15 minutes"),
            (Rounding.NEAREST_30, "Nearest 30 minutes"),
            (Rounding.EXACT, "Exact"),
            (Rounding.NO_ENTRY, "No entry"),
        ],
    )
    note_visibility = Setting(
        "documentation.note_visibility",
        NoteVisibility.INTERNAL,
        section=Section.INTEGRATIONS,
        title="Default note visibility",
        help="Internal notes are read by your team. An external note is read by the client as "
        "well and may be e-mailed to them.",
        choices=[
            (NoteVisibility.INTERNAL, "Internal only"),
            (NoteVisibility.INTERNAL_AND_EXTERNAL, "Internal and external"),
        ],
    )
    include_steps = Setting(
        "documentation.include_diagnostic_steps",
        True,  # noqa: FBT003
        section=Section.INTEGRATIONS,
        title="Include diagnostic steps",
        help="The note lists every step with its answer. Otherwise it has problem, resolution and "
        "timing.",
    )
    status_on_resolution = Setting(
        "documentation.prompt_status_on_resolution",
        False,  # noqa: FBT003
        section=Section.INTEGRATIONS,
        title="Prompt for ticket status on resolution",
        help="Asks which status of the ticket's own board to set when you resolve a session.",
    )
    status_on_escalation = Setting(
        "documentation.prompt_status_on_escalation",
        False,  # noqa: FBT003
        section=Section.INTEGRATIONS,
        title="Prompt for ticket status on escalation",
        help="Asks which status of the ticket's own board to set when you escalate a session.",
    )
    note_limit = Setting(
        "documentation.note_limit",
        4000,
        section=Section.INTEGRATIONS,
        title="Longest note",
        help="A longer note is split into parts, marked (1/2), (2/2).",
        least=500,
        most=100_000,
        unit="characters",
    )
    psa_api_version = Setting(
        "psa.api_version",
        "2025.1",
        section=Section.INTEGRATIONS,
        title="ConnectWise API version",
        help="Pins how ConnectWise words its answers. Change it only when support asks you to.",
        check=_some_text("The version"),
    )
    psa_client_id = Setting(
        "psa.client_id",
        "",
        section=Section.INTEGRATIONS,
        title="ConnectWise client id",
        help="The id that ConnectWise gave to the software's vendor. Empty means FlowPilot's own.",
    )

    model_name = Setting(
        "model.name",
        "claude-sonnet-5-5",
        section=Section.CLAUDE,
        title="Model for diagnosis",
        help="Thinks about the next step.",
        check=_some_text("The model"),
    )
    fast_model_name = Setting(
        "model.fast_name",
        "claude-haiku-5-5",
        section=Section.CLAUDE,
        title="Fast model",
        help="Classifies problems and writes briefings.",
        check=_some_text("The fast model"),
    )
    model_base_url = Setting(
        "model.base_url",
        "",
        section=Section.CLAUDE,
        title="Address of the service",
        help="Empty means Anthropic's own. A gateway or a model in your own network works too, if "
        "it speaks the same API.",
        check=_no_fault_in_address,
    )
    monthly_budget = Setting(
        "model.monthly_budget",
        0.0,
        section=Section.CLAUDE,
        title="Monthly budget",
        help="When it is used up, sessions go on by flow and by hand. 0 means no limit.",
        least=0,
        most=1_000_000,
        unit="US$",
    )
    prices: Setting[Prices] = Setting(
        "model.prices",
        MappingProxyType({}),
        section=Section.CLAUDE,
        title="Prices of your contract",
        help="US dollars per million tokens, for models whose price differs from the published "
        "one.",
    )
    screenshots_may_be_sent = Setting(
        "model.screenshots_may_be_sent",
        False,  # noqa: FBT003
        section=Section.CLAUDE,
        title="Send screenshots to Claude",
        help="Pictures can't be redacted. Without your consent they stay on this computer.",
    )
    never_send: Setting[tuple[str, ...]] = Setting(
        "model.never_send",
        (),
        section=Section.CLAUDE,
        title="Never send these companies",
        help="Sessions of these clients run by flow and by hand; nothing about them goes to a "
        "model. One company a line, as ConnectWise writes it.",
    )

    alerts = Setting(
        "alerts.on",
        True,  # noqa: FBT003
        section=Section.ALERTS,
        title="Notify me of escalations",
        help="Shows a notification for escalations assigned to you or to nobody. The count in the "
        "tray stays in any case.",
    )
    quiet_hours = Setting(
        "alerts.quiet_hours",
        QuietHours(),
        section=Section.ALERTS,
        title="Quiet hours",
        help="No notifications between these times of day. Equal times mean none.",
    )
    poll_seconds = Setting(
        "queue.poll_seconds",
        5,
        section=Section.ALERTS,
        title="Look at the team queue every",
        help="How soon a teammate's escalation shows up here.",
        least=2,
        most=300,
        unit="seconds",
    )

    start_at_login = Setting(
        "system.start_at_login",
        False,  # noqa: FBT003
        section=Section.SYSTEM,
        title="Start when I sign in",
        help="FlowPilot starts in the tray, so that escalations reach you.",
    )
    close_to_tray = Setting(
        "system.close_to_tray",
        True,  # noqa: FBT003
        section=Section.SYSTEM,
        title="Keep running in the tray",
        help="Closing the window leaves FlowPilot in the tray. Quit ends it.",
    )
    close_to_tray_explained = Setting(
        "system.close_to_tray_explained",
        False,  # noqa: FBT003
        section=Section.SYSTEM,
        title="Tray explained",
        help="Whether it was said once that closing the window does not end FlowPilot.",
        shown=False,
    )
    log_level = Setting(
        "system.log_level",
        LogLevel.INFO,
        section=Section.SYSTEM,
        title="Log",
        help="How much is written to the log on this computer. Secrets are masked in it.",
        choices=[
            (LogLevel.DEBUG, "Everything"),
            (LogLevel.INFO, "Normal"),
            (LogLevel.WARNING, "Warnings only"),
        ],
    )

    def __init__(self, folder: Path, events: Events) -> None:
        self._path = folder / FILE_NAME
        self._events = events
        self._kept: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.report = ""
        self._load()

    @classmethod
    def declarations(cls) -> tuple[Setting[Any], ...]:
        """Return every setting in the order of the pages."""
        return tuple(one for one in vars(cls).values() if isinstance(one, Setting))

    def value(self, setting: Setting[T]) -> T:
        """Return a setting's value."""
        value: T = self._values.get(setting.key, setting.default)
        return value

    def is_default(self, setting: Setting[Any]) -> bool:
        """Return whether a setting was never changed, or was set back."""
        return setting.key not in self._values

    @property
    def engineer(self) -> Engineer:
        """The technician at this desktop."""
        from flowpilot_desktop.core.session import Engineer  # noqa: PLC0415 - not before the window

        return Engineer(self.engineer_id, self.engineer_name, self.engineer_email)

    @property
    def monthly_budget_micros(self) -> int:
        """The budget in micro-units; 0 for none."""
        return round(self.monthly_budget * 1_000_000)

    async def change(self, setting: Setting[T], value: T) -> None:
        """Keep a value on disk, use it from now on and tell everybody.

        Raises InvalidInput for a value that can't be, StoreError when it can't be saved; then the
        old value stays.
        """
        await self.change_all({setting: value})

    async def change_all(self, changes: Mapping[Setting[Any], Any]) -> None:
        """Keep several values in one go; all or none of them."""
        checked = {setting: setting.checked(value) for setting, value in changes.items()}
        changed = {one: value for one, value in checked.items() if value != self.value(one)}
        if not changed:
            return
        # Shielded: once begun, a change is on the disk and in use, whoever still waits for it.
        await asyncio.shield(asyncio.ensure_future(self._change(changed)))

    async def reset(self, setting: Setting[Any]) -> None:
        """Set a value back to its default."""
        await self.change(setting, setting.default)

    async def _change(self, changed: Mapping[Setting[Any], Any]) -> None:
        await asyncio.to_thread(self._keep, changed)
        for setting in changed:
            self._events.publish(SettingsChanged(setting.key))

    def _keep(self, changed: Mapping[Setting[Any], Any]) -> None:
        with self._lock:
            kept, values = dict(self._kept), dict(self._values)
            for setting, value in changed.items():
                kept.pop(setting.key, None)
                values.pop(setting.key, None)
                if value != setting.default:
                    kept[setting.key] = setting.to_json(value)
                    values[setting.key] = value
            with _told_in_words():
                _write(self._path, kept)
            self._kept, self._values = kept, values

    def _load(self) -> None:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self.report = (
                f"The settings could not be read ({error.strerror}), so the defaults are used. "
                "The file was left as it is."
            )
            return
        kept, is_whole = _parsed(content)
        unread: list[str] = []
        for setting in self.declarations():
            if setting.key in kept:
                try:
                    self._values[setting.key] = setting.from_json(kept[setting.key])
                except InvalidInput:
                    del kept[setting.key]
                    unread.append(setting.title)
        self._kept = kept
        if unread or not is_whole:
            self._set_aside(unread, is_whole=is_whole)

    def _set_aside(self, unread: list[str], *, is_whole: bool) -> None:
        """Keep the damaged file under another name and go on with what was read."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
        aside = self._path.with_name(f"settings.damaged-{stamp}.json")
        what = "The settings file was damaged." if not is_whole else "Some settings made no sense."
        lost = f" Set back to their defaults: {', '.join(unread)}." if unread else ""
        if not is_whole:
            lost += f" {counted(len(self._values), 'setting')} could be read and kept."
        try:
            self._path.replace(aside)
            _write(self._path, self._kept)
            where = f" The old file is kept as {aside.name}."
        except OSError as error:
            log.warning("The damaged settings could not be moved aside: %s", error.strerror)
            where = ""
        self.report = f"{what}{lost}{where}"
        log.warning("%s", self.report)


# The file


@contextmanager
def _told_in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull("There is no room on the disk for the settings.") from error
        raise StoreError(
            f"The settings could not be saved ({error.strerror}).",
            hint="The old settings stay. Check that the profile's folder can be written to.",
            retryable=True,
        ) from error


def _parsed(content: bytes) -> tuple[dict[str, Any], bool]:
    """Return what a settings file says, and whether it could be read to its end."""
    try:
        whole = json.loads(content)  # as bytes: an editor may have saved UTF-16, or a mark before
    except (ValueError, RecursionError):
        return _readable_part(content.decode("utf-8-sig", errors="replace")), False
    return (whole, True) if isinstance(whole, dict) else ({}, False)


def _readable_part(text: str) -> dict[str, Any]:
    """Return the keys of a JSON object that was cut, up to where it was cut."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] = {}
    position = _after(text, 0, "{")
    while position is not None:
        try:
            key, end = decoder.raw_decode(text, position)
            colon = _after(text, end, ":")
            if colon is None or not isinstance(key, str):
                break
            value, end = decoder.raw_decode(text, colon)
        except (ValueError, RecursionError):
            break
        if end >= len(text):
            break  # a number that reaches the end may have been longer
        found[key] = value
        position = _after(text, end, ",")
    return found


def _after(text: str, position: int, sign: str) -> int | None:
    """Return where the next word begins behind a sign, or None if the sign is not next."""
    rest = text[position:].lstrip()
    if not rest.startswith(sign):
        return None
    behind = rest[1:].lstrip()
    return len(text) - len(behind)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Put the values on disk so that a power cut leaves the old or the new file, never a half."""
    make_private(path.parent)
    temporary = path.with_name(f"{path.name}.new")
    # In ASCII, because a lone surrogate in a newer FlowPilot's key is no UTF-8.
    content = json.dumps(values, indent=2, sort_keys=True)
    with temporary.open("w", encoding="ascii") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    _replace(temporary, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _replace(temporary: Path, path: Path) -> None:
    """Put the file in place; on Windows a virus scanner may hold the old one for a moment."""
    for _ in range(10):
        try:
            temporary.replace(path)
        except PermissionError:
            clock.sleep(0.05)
        else:
            return
    temporary.replace(path)
