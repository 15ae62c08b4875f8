"""Settings: declared once, kept safely, and never in the way of a start."""

import asyncio
import json
import os
import re
import threading
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowpilot_desktop
from flowpilot_desktop.core.errors import InvalidInput, StoreError, StoreFull
from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.core.push import NoteVisibility
from flowpilot_desktop.core.timing import Rounding
from flowpilot_desktop.settings import (
    FILE_NAME,
    QuietHours,
    Section,
    Setting,
    Settings,
    Theme,
    TokenPrice,
)

DECLARED = Settings.declarations()


def settings_in(folder: Path, events: Events | None = None) -> Settings:
    return Settings(folder, events or Events())


def written(folder: Path, content: bytes | dict[str, Any]) -> Settings:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / FILE_NAME).write_bytes(data)
    return settings_in(folder)


# --- declarations ----------------------------------------------------------------------------


def test_every_declaration_is_fit_to_be_drawn():
    assert len({one.key for one in DECLARED}) == len(DECLARED) > 25
    assert len({one.title for one in DECLARED}) == len(DECLARED)
    for one in DECLARED:
        assert one.title, one.key
        assert one.help.endswith("."), one.key
        assert isinstance(one.section, Section)
        assert one.checked(one.default) == one.default or one.key.startswith("engineer"), one.key


@pytest.mark.parametrize(
    "name", [n for n, one in vars(Settings).items() if isinstance(one, Setting)]
)
def test_every_setting_is_read_by_somebody(name):
    """One that nobody reads is a promise on the settings page that nothing keeps."""
    package = Path(flowpilot_desktop.__file__).parent
    code = "".join(
        path.read_text("utf-8") for path in package.rglob("*.py") if path != package / "settings.py"
    )
    read = "engineer" if name.startswith("engineer_") else name
    assert re.search(rf"settings\.{read}(?:_micros)?\b", code)


@pytest.mark.parametrize("one", DECLARED, ids=lambda one: one.key)
def test_every_choice_and_default_survives_the_file(one):
    for value in [one.default, *(choice for choice, _ in one.choices)]:
        text = json.dumps(one.to_json(value))
        assert one.from_json(json.loads(text)) == value


def test_the_defaults_are_the_ones_agreed(tmp_path):
    settings = settings_in(tmp_path)
    assert settings.auto_push
    assert settings.auto_time_entry
    assert settings.include_steps
    assert not settings.status_on_resolution
    assert not settings.status_on_escalation
    assert settings.time_rounding is Rounding.NEAREST_15
    assert settings.note_visibility is NoteVisibility.INTERNAL
    assert settings.note_limit == 4000
    assert settings.psa_api_version == "2025.1"
    assert settings.model_name == "claude-sonnet-5-5"
    assert settings.fast_model_name == "claude-haiku-5-5"
    assert settings.never_send == ()
    assert not settings.screenshots_may_be_sent
    assert settings.report == ""
    assert not (tmp_path / FILE_NAME).exists()


# --- changing --------------------------------------------------------------------------------


async def test_a_change_is_on_disk_in_use_and_told(tmp_path):
    events = Events()
    told: list[SettingsChanged] = []
    events.listen(SettingsChanged, told.append)
    settings = settings_in(tmp_path, events)
    await settings.change(Settings.theme, Theme.DARK)
    assert settings.theme is Theme.DARK
    assert told == [SettingsChanged("appearance.theme")]
    assert settings_in(tmp_path).theme is Theme.DARK
    await settings.change(Settings.theme, Theme.DARK)
    assert len(told) == 1


async def test_the_file_holds_only_what_differs(tmp_path):
    settings = settings_in(tmp_path)
    await settings.change_all({Settings.zoom: 120, Settings.engineer_name: " Ana Núñez "})
    assert json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8")) == {
        "appearance.zoom": 120,
        "engineer.name": "Ana Núñez",
    }
    assert not settings.is_default(Settings.zoom)
    await settings.reset(Settings.zoom)
    assert settings.is_default(Settings.zoom)
    assert settings.zoom == 100
    assert "appearance.zoom" not in (tmp_path / FILE_NAME).read_text(encoding="utf-8")


async def test_rich_values_survive(tmp_path):
    settings = settings_in(tmp_path)
    hours = QuietHours(time(22), time(7, 30))
    prices = {"claude-sonnet-5-5": TokenPrice(1.5, 7.5, 3.0, 0.1)}
    await settings.change(Settings.quiet_hours, hours)
    await settings.change(Settings.prices, prices)
    await settings.change(Settings.never_send, ("Acme & Söhne", "", "Acme & Söhne", " Bank "))
    await settings.change(Settings.monthly_budget, 12.5)
    again = settings_in(tmp_path)
    assert again.quiet_hours == hours
    assert dict(again.prices) == prices
    assert again.never_send == ("Acme & Söhne", "Bank")
    assert again.monthly_budget_micros == 12_500_000


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (Settings.zoom, 10),
        (Settings.zoom, 100.5),
        (Settings.zoom, True),
        (Settings.theme, "purple"),
        (Settings.auto_push, "yes"),
        (Settings.monthly_budget, float("nan")),
        (Settings.monthly_budget, -1),
        (Settings.model_name, "  "),
        (Settings.model_base_url, "http://example.com"),
        (Settings.model_base_url, "ftp://example.com"),
        (Settings.engineer_name, "lone \ud800"),
        (Settings.never_send, "Acme"),
        (Settings.never_send, [1]),
        (Settings.quiet_hours, "22-7"),
        (Settings.prices, {"m": TokenPrice(-1, 1, 1, 1)}),
    ],
)
async def test_nonsense_is_refused_in_words_and_changes_nothing(tmp_path, setting, value):
    settings = settings_in(tmp_path)
    with pytest.raises(InvalidInput) as refused:
        await settings.change(setting, value)
    assert refused.value.message
    assert settings.is_default(setting)
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "address", ["", "https://gateway.example.com/v1", "http://127.0.0.1:8080", "http://10.1.2.3"]
)
async def test_addresses_that_are_safe_are_taken(tmp_path, address):
    settings = settings_in(tmp_path)
    await settings.change(Settings.model_base_url, address)
    assert settings.model_base_url == address


async def test_one_bad_value_keeps_the_others_of_the_same_change_out(tmp_path):
    settings = settings_in(tmp_path)
    with pytest.raises(InvalidInput):
        await settings.change_all({Settings.theme: Theme.DARK, Settings.zoom: 1})
    assert settings.theme is Theme.SYSTEM


async def test_changes_at_the_same_time_all_arrive(tmp_path):
    settings = settings_in(tmp_path)
    switches = [one for one in DECLARED if one.kind is bool]
    await asyncio.gather(*(settings.change(one, not one.default) for one in switches))
    again = settings_in(tmp_path)
    assert all(again.value(one) is not one.default for one in switches)


async def test_saving_is_not_done_on_the_asking_thread(tmp_path, monkeypatch):
    threads = []
    sync = os.fsync

    def noting(descriptor):
        threads.append(threading.current_thread())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    await settings_in(tmp_path).change(Settings.zoom, 90)
    assert threads
    assert threading.current_thread() not in threads


async def test_a_change_whose_await_is_cancelled_is_still_kept(tmp_path):
    settings, events_done = settings_in(tmp_path), asyncio.Event()
    settings._events.listen(SettingsChanged, lambda _: events_done.set())
    change = asyncio.create_task(settings.change(Settings.zoom, 90))
    await asyncio.sleep(0)
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    await asyncio.wait_for(events_done.wait(), 10)
    assert settings.zoom == settings_in(tmp_path).zoom == 90


async def test_a_full_disk_keeps_the_old_values(tmp_path, monkeypatch):
    settings = settings_in(tmp_path)
    await settings.change(Settings.zoom, 90)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull):
        await settings.change(Settings.zoom, 110)
    assert settings.zoom == settings_in(tmp_path).zoom == 90


async def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "profile").write_text("not a folder")
    settings = settings_in(tmp_path / "profile")
    assert "defaults" in settings.report
    with pytest.raises(StoreError):
        await settings.change(Settings.zoom, 90)
    assert settings.zoom == 100


# --- damage ----------------------------------------------------------------------------------


def test_unknown_keys_are_carried_along(tmp_path):
    settings = written(tmp_path, {"future.thing": {"a": [1]}, "appearance.zoom": 110})
    assert settings.report == ""
    asyncio.run(settings.change(Settings.theme, Theme.LIGHT))
    kept = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    assert kept == {
        "future.thing": {"a": [1]},
        "appearance.zoom": 110,
        "appearance.theme": "light",
    }


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_that_an_editor_saved_in_its_own_encoding_is_read_whole(tmp_path, encoding):
    content = {"engineer.id": "e-1", "engineer.name": "Ünal", "appearance.zoom": 120}
    settings = written(tmp_path, json.dumps(content, ensure_ascii=False).encode(encoding))
    assert settings.report == ""
    assert (settings.engineer_id, settings.engineer_name, settings.zoom) == ("e-1", "Ünal", 120)


def test_a_cut_file_with_a_mark_before_it_keeps_its_first_half(tmp_path):
    settings = written(tmp_path, b'\xef\xbb\xbf{"appearance.zoom": 120, "engineer.na')
    assert settings.zoom == 120
    assert "1 setting could be read" in settings.report


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"appearance.zoom": 120, "x": ' + b"[" * 200_000]
)
def test_brackets_without_end_do_not_stop_a_start(tmp_path, content):
    settings = written(tmp_path, content)
    assert settings.zoom in (100, 120)
    assert settings.report


def test_a_strange_key_of_a_newer_version_does_not_stop_saving(tmp_path):
    settings = written(tmp_path, b'{"future.thing": "\\ud800"}')
    asyncio.run(settings.change(Settings.zoom, 110))
    again = settings_in(tmp_path)
    assert again.zoom == 110
    assert again.report == ""
    assert json.loads((tmp_path / FILE_NAME).read_text())["future.thing"] == "\ud800"


def test_wrong_types_fall_back_one_by_one_and_the_old_file_is_kept(tmp_path):
    content = {"appearance.zoom": "big", "appearance.theme": "dark", "model.never_send": 7}
    settings = written(tmp_path, content)
    assert settings.zoom == 100
    assert settings.theme is Theme.DARK
    assert "Text size" in settings.report
    assert "Never send these companies" in settings.report
    (aside,) = tmp_path.glob("settings.damaged-*.json")
    assert json.loads(aside.read_text()) == content
    assert aside.name in settings.report
    assert settings_in(tmp_path).report == ""


WHOLE = json.dumps(
    {"appearance.theme": "dark", "appearance.zoom": 120, "engineer.name": "Ünal {“,”}"}, indent=2
).encode()


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_file_cut_anywhere_starts_and_keeps_what_is_certain(tmp_path, length):
    settings = written(tmp_path, WHOLE[:length])
    assert settings.theme in (Theme.DARK, Theme.SYSTEM)
    assert settings.zoom in (100, 120)  # never 1 or 12
    assert settings.engineer_name in ("", "Ünal {“,”}")
    assert settings.report
    assert [path.read_bytes() for path in tmp_path.glob("settings.damaged-*")] == [WHOLE[:length]]


def test_the_first_half_of_a_cut_file_is_kept(tmp_path):
    settings = written(tmp_path, WHOLE[: WHOLE.index(b"engineer") + 4])
    assert settings.theme is Theme.DARK
    assert settings.zoom == 120
    assert "2 settings could be read" in settings.report


@given(st.binary(max_size=300))
def test_any_bytes_start_with_valid_values(tmp_path_factory, content):
    settings = written(tmp_path_factory.mktemp("profile"), content)
    for one in DECLARED:
        assert one.checked(settings.value(one)) == settings.value(one) or settings.is_default(one)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([one.key for one in DECLARED]), json_values, max_size=6))
def test_any_json_starts_with_valid_values(tmp_path_factory, content):
    settings = written(tmp_path_factory.mktemp("profile"), content)
    for one in DECLARED:
        assert one.checked(settings.value(one)) == settings.value(one) or settings.is_default(one)


# --- quiet hours -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        (time(12), time(13), [time(12), time(12, 59)], [time(11, 59), time(13)]),
        (time(22), time(7), [time(22), time(0), time(6, 59)], [time(7), time(21, 59)]),
        (time(0), time(0), [], [time(0), time(12)]),
    ],
)
def test_quiet_hours_cover_their_time_over_midnight_too(start, end, inside, outside):
    hours = QuietHours(start, end)
    assert all(hours.cover(moment) for moment in inside)
    assert not any(hours.cover(moment) for moment in outside)


def test_a_type_without_a_form_is_refused_at_declaration():
    with pytest.raises(TypeError, match="complex"):
        Setting("x", 1j, section=Section.SYSTEM, title="x", help="x.")
