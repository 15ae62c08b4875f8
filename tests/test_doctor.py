"""``flowpilot doctor`` by real process: every finding names what to mend."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowpilot_desktop.composition import open_desk
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services.model_access import KEY_NAME
from flowpilot_desktop.services.queue import INVITATION_NAME
from flowpilot_desktop.settings import Settings
from tests.commands import ROOT, Outcome, flowpilot
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.connectwise import (
    COMPANY_ID,
    PRIVATE_KEY,
    PUBLIC_KEY,
    ConnectWiseSite,
    SiteOptions,
)
from tests.simulators.http_server import HttpServer
from tests.simulators.postgres import QueueDatabase, engines, shared_server
from tests.test_credentials import secret_service  # noqa: F401 - a fixture

LIBRARIES = ("FlowPilot", "Python", "SQLite", "PySide6-Essentials", "httpx", "anthropic")


def findings(outcome: Outcome) -> dict[str, dict[str, str]]:
    """Return what the doctor said as JSON, by check; what is not good has its fix."""
    found = json.loads(outcome.out)
    assert [one for one in found if one["verdict"] != "good" and not one["fix"]] == []
    return {one["check"]: one for one in found}


@asynccontextmanager
async def desk_on(folder: Path):
    events = Events()
    settings = Settings(folder, events)
    async with open_desk(Profile(folder), settings=settings, events=events) as desk:
        yield desk


async def connected(folder: Path, url: str) -> None:
    """Set a profile up with a ConnectWise site, as the settings page does."""
    async with desk_on(folder) as desk:
        connection = PsaConnection(
            "connectwise-1",
            "connectwise",
            site=url,
            company_id=COMPANY_ID,
            client_id=desk.settings.psa_client_id,
            name="ConnectWise",
        )
        await desk.tickets.connect(connection, PsaKeys(PUBLIC_KEY, PRIVATE_KEY))


async def with_claude(folder: Path, url: str, key: str) -> None:
    """Set a profile up with Claude."""
    async with desk_on(folder) as desk:
        await desk.settings.change(Settings.model_base_url, url)
        await desk.secrets.write(KEY_NAME, key)


def test_the_practice_company_is_well(tmp_path):
    outcome = flowpilot(tmp_path, "doctor", "--json", demo=True)
    found = findings(outcome)
    assert outcome.code == 0
    assert outcome.err == ""
    assert not [one for one in found.values() if one["verdict"] == "bad"]
    for library in LIBRARIES:
        assert any(digit in found[library]["detail"] for digit in "0123456789"), library
    assert found["Profile folder"]["detail"] == str(tmp_path)
    assert found["Store"]["detail"] == "Intact."
    assert found["Keyring"]["verdict"] == "good"
    assert found["ConnectWise: Add time entries"]["verdict"] == "good"
    assert found["Claude"]["verdict"] == "note"
    assert "Settings → Claude" in found["Claude"]["fix"]


def test_words_for_people_say_the_same_as_the_json(tmp_path):
    told = flowpilot(tmp_path, "doctor", demo=True)
    assert told.code == 0
    for one in findings(flowpilot(tmp_path, "doctor", "--json", demo=True)).values():
        assert one["check"] in told.out
        if one["fix"]:
            assert f"→ {one['fix']}" in told.out


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_an_old_code_page_shows_what_it_can(tmp_path, monkeypatch, encoding):
    """Windows gives a program whose words go to a file or a pipe its old code page."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    outcome = flowpilot(tmp_path, "doctor", demo=True)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Add a key in Settings" in outcome.out
    assert flowpilot(tmp_path, "flows", "check").code == 0


async def test_a_check_that_fails_itself_costs_its_own_line(tmp_path, monkeypatch, logged_errors):
    async with desk_on(tmp_path) as desk:
        for number, broken in enumerate((OSError(5, "Input/output error"), ZeroDivisionError())):

            async def fail(broken=broken):
                raise broken

            monkeypatch.setattr(desk.doctor, "_profile_folder", fail)
            found = {one.check: one for one in await desk.doctor.examine()}
            assert found["Profile"].verdict == "bad"
            assert ("Input/output error", "ZeroDivisionError")[number] in found["Profile"].detail
            assert found["Profile"].fix
            assert found["Store"].verdict == "good"
    assert len(logged_errors) == 2  # a bug's traceback is what support needs


# What the window does first, and then what a fault in a library does to it.
FAULT = """
import ctypes, sys
from pathlib import Path
from flowpilot_desktop import start

words_of_a_customer = "Winter-2031!"
start.Shell = lambda *_: ctypes.string_at(0)
start.run(start.Profile(Path(sys.argv[1])))
"""


def test_a_fault_of_the_process_is_noted_and_told(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", FAULT, str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGSEGV
    noted = (tmp_path / "logs" / "faults.log").read_text()
    assert "start.py" in noted
    assert "Winter" not in noted
    told = findings(flowpilot(tmp_path, "doctor", "--json", demo=True))["Faults"]
    assert told["verdict"] == "note"
    assert str(datetime.now(UTC).year) in told["detail"]
    (tmp_path / "logs" / "faults.log").unlink()
    assert "Faults" not in findings(flowpilot(tmp_path, "doctor", "--json", demo=True))


def test_damaged_settings_are_told_with_what_to_do(tmp_path):
    (tmp_path / "settings.json").write_text('{"appearance.zoom": 120, "engi')
    found = findings(flowpilot(tmp_path, "doctor", "--json", demo=True))
    assert found["Settings"]["verdict"] == "note"
    assert "damaged" in found["Settings"]["detail"]


def test_without_a_keyring_it_says_how_to_get_one(tmp_path):
    outcome = flowpilot(tmp_path, "doctor", "--json")
    keyring = findings(outcome)["Keyring"]
    assert outcome.code == 1
    assert keyring["verdict"] == "bad"
    assert "forgotten when FlowPilot ends" in keyring["detail"]
    assert "gnome-keyring" in keyring["fix"]
    assert outcome.err == ""


async def test_each_missing_right_names_its_row_of_the_role(tmp_path, secret_service):  # noqa: F811
    site = ConnectWiseSite()
    profile = tmp_path / "work"
    profile.mkdir()
    with HttpServer(site) as server:
        await connected(profile, server.url)
        whole = findings(flowpilot(profile, "doctor", "--json"))
        site.deny("POST", "time/entries")
        site.deny("GET", "company/configurations")
        outcome = flowpilot(profile, "doctor", "--json")
    assert whole["Keyring"]["detail"].startswith("Secret Service")
    assert {one["verdict"] for check, one in whole.items() if "ConnectWise" in check} == {"good"}
    found = findings(outcome)
    assert outcome.code == 1
    assert {check for check, one in found.items() if one["verdict"] == "bad"} == {
        "ConnectWise: Add time entries",
        "ConnectWise: Read configurations",
    }
    assert "Time & Expense → Time Entry: Add" in found["ConnectWise: Add time entries"]["fix"]
    assert "Companies → Configurations: Inquire" in found["ConnectWise: Read configurations"]["fix"]
    assert PRIVATE_KEY not in outcome.out


@pytest.mark.parametrize(("minutes", "words"), [(12, "behind"), (-12, "ahead of")])
async def test_a_wrong_clock_is_found(tmp_path, secret_service, minutes, words):  # noqa: F811
    profile = tmp_path / "work"
    profile.mkdir()
    skewed = SiteOptions(clock_skew=timedelta(minutes=minutes))
    with HttpServer(ConnectWiseSite(skewed)) as server:
        await connected(profile, server.url)
        outcome = flowpilot(profile, "doctor", "--json")
    clock = findings(outcome)["Clock"]
    assert outcome.code == 1
    assert clock["verdict"] == "bad"
    assert words in clock["detail"]
    assert abs(int(clock["detail"].split()[0]) - 720) <= 5
    assert "set the time" in clock["fix"]


async def test_wrong_keys_and_an_absent_site_are_told_apart(tmp_path, secret_service):  # noqa: F811
    profile = tmp_path / "work"
    profile.mkdir()
    site = ConnectWiseSite()
    with HttpServer(site) as server:
        await connected(profile, server.url)
        site.options.private_key = "rotated"
        refused = flowpilot(profile, "doctor", "--json")
    away = flowpilot(profile, "doctor", "--json")
    for outcome in (refused, away):
        assert outcome.code == 1
        assert findings(outcome)["ConnectWise"]["verdict"] == "bad"
        assert findings(outcome)["ConnectWise"]["fix"]
    assert findings(refused)["ConnectWise"] != findings(away)["ConnectWise"]
    assert "key" in str(findings(refused)["ConnectWise"]).lower()


async def test_claude_right_and_wrong(tmp_path, secret_service):  # noqa: F811
    profile = tmp_path / "work"
    profile.mkdir()
    with ClaudeSimulator() as claude:
        await with_claude(profile, claude.url, claude.key)
        right = flowpilot(profile, "doctor", "--json")
        await with_claude(profile, claude.url, "sk-ant-wrong")
        wrong = flowpilot(profile, "doctor", "--json")
    assert right.code == 0
    assert findings(right)["Claude"]["verdict"] == "good"
    assert wrong.code == 1
    assert findings(wrong)["Claude"]["verdict"] == "bad"
    assert "key" in findings(wrong)["Claude"]["fix"].lower()
    assert "sk-ant-wrong" not in wrong.out


@pytest.fixture
def database() -> Iterator[QueueDatabase]:
    with shared_server(next(iter(engines()))).database() as database:
        yield database


async def test_the_team_queue_joined_and_left_behind(tmp_path, secret_service, database):  # noqa: F811
    profile = tmp_path / "work"
    profile.mkdir()
    alone = flowpilot(profile, "doctor", "--json")
    assert findings(alone)["Team queue"]["verdict"] == "note"
    assert "Settings → Team queue" in findings(alone)["Team queue"]["fix"]
    team = database.add_team()
    invitation = database.invite(team, "Ann")
    database.invite(team, "Ben")
    async with desk_on(profile) as desk:
        await desk.secrets.write(INVITATION_NAME, invitation.token())
    joined = flowpilot(profile, "doctor", "--json")
    assert findings(joined)["Team queue"]["verdict"] == "good"
    assert "as Ann; 2 members" in findings(joined)["Team queue"]["detail"]
    database.administration.disable_engineer(invitation.engineer_id)
    refused = flowpilot(profile, "doctor", "--json")
    assert refused.code == 1
    assert findings(refused)["Team queue"]["verdict"] == "bad"
    assert findings(refused)["Team queue"]["fix"]
    assert findings(refused)["Store"]["verdict"] == "good"
    assert invitation.password not in joined.out + refused.out


async def test_a_damaged_store_is_mended_and_told(tmp_path):
    first = flowpilot(tmp_path, "doctor", "--json", demo=True)
    assert first.code == 0
    database = tmp_path / "flowpilot.db"
    with database.open("r+b") as file:
        file.write(b"garbage" * 40)
    outcome = flowpilot(tmp_path, "doctor", "--json", demo=True)
    store = findings(outcome)["Store"]
    assert store["verdict"] == "note"
    assert "does not begin as a database" in store["detail"]
    assert "Nothing was deleted" in store["detail"]
    assert list((tmp_path / "damaged").rglob("flowpilot.db"))
    assert outcome.err == ""


def test_a_profile_that_cannot_be_used_still_tells_the_versions(tmp_path):
    (tmp_path / "file").write_text("in the way")
    outcome = flowpilot(tmp_path / "file" / "profile", "doctor", "--json")
    found = findings(outcome)
    assert outcome.code == 1
    assert found["Profile"]["verdict"] == "bad"
    assert "may write" in found["Profile"]["fix"]
    assert found["Python"]["detail"]
    assert outcome.err == ""


async def test_beside_a_running_flowpilot_it_says_to_use_its_window(tmp_path):
    async with desk_on(tmp_path):
        outcome = flowpilot(tmp_path, "doctor")
    assert outcome.code == 1
    assert "Another FlowPilot has the profile" in outcome.out
    assert "Settings → System" in outcome.out
    assert "brought to the front" not in outcome.out


async def test_a_flow_file_of_ones_own_is_named_with_its_line(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "mine.yaml").write_text("id: mine\ntitle: [not, text]\n")
    outcome = flowpilot(tmp_path, "doctor", "--json", demo=True)
    bad = [one for one in json.loads(outcome.out) if one["check"] == "Flow file"]
    assert outcome.code == 1
    assert any("mine.yaml:" in one["detail"] for one in bad)
    assert findings(outcome)["Flows"]["verdict"] == "good"
