"""The guards of conftest.py bite: tests that misbehave are run in a session of their own."""

import ast
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each test's docstring is what its report has to say; an empty one means that it passes.
SAMPLES = """
import asyncio, logging, os, socket, threading, time, warnings
import httpx, keyring, pytest

kept = []
end_of_module = threading.Event()

def teardown_module():
    end_of_module.set()

def test_reaches_the_network():
    "connect '192.0.2.1' would leave this machine"
    socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_hides_that_it_reached_the_network():
    "it tried to leave the machine: looking up 'psa.example'"
    try:
        socket.getaddrinfo("psa.example", 443)
    except Exception:
        pass

async def test_awaits_the_network():
    "connect '192.0.2.1' would leave this machine"
    async with httpx.AsyncClient() as client:
        await client.get("http://192.0.2.1/")

def test_reaches_this_machine():
    ""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_logs_an_error():
    "flowpilot_desktop.store: disk on fire"
    logging.getLogger("flowpilot_desktop.store").error("disk on fire")

def test_expects_an_error(logged_errors):
    ""
    logging.getLogger("flowpilot_desktop.store").error("disk on fire")
    assert [record.getMessage() for record in logged_errors] == ["disk on fire"]

async def test_forgets_a_task(qapp):
    "Task exception was never retrieved"
    async def fail():
        raise ValueError
    asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)

def test_warns():
    "DeprecationWarning: old"
    warnings.warn("old", DeprecationWarning)

def test_provokes_qt(qapp):
    "Qt messages with level WARNING or above emitted"
    from PySide6.QtCore import qWarning
    qWarning("QObject: something is wrong")

def test_fails_in_a_slot(qtbot):
    "Exceptions caught in Qt event loop"
    from PySide6.QtCore import QTimer
    QTimer.singleShot(0, lambda: 1 / 0)
    qtbot.wait(20)

def test_leaves_a_thread():
    "thread 'stray' is alive"
    threading.Thread(target=end_of_module.wait, args=(60,), name="stray").start()

def test_leaves_a_window(qapp):
    "window <PySide6.QtWidgets.QWidget"
    from PySide6.QtWidgets import QWidget
    kept.append(QWidget())

def test_closes_its_window(qtbot):
    ""
    from PySide6.QtWidgets import QWidget
    window = QWidget()
    window.itself = window  # only the collector can see that it is gone
    qtbot.addWidget(window)
    window.show()

def test_leaves_a_timer(qapp):
    "<PySide6.QtCore.QTimer"
    from PySide6.QtCore import QTimer
    kept.append(QTimer())
    kept[-1].start(1000)

def test_leaves_an_animation(qapp):
    "<PySide6.QtCore.QVariantAnimation"
    from PySide6.QtCore import QVariantAnimation
    kept.append(QVariantAnimation(startValue=0, endValue=1, duration=60000))
    kept[-1].start()

async def test_runs_on_the_qt_loop(qapp):
    ""
    assert type(asyncio.get_running_loop()).__module__ == "qasync"

async def test_runs_on_a_plain_loop():
    ""
    assert type(asyncio.get_running_loop()).__module__.startswith("asyncio")

def test_finds_no_home():
    ""
    assert os.path.expanduser("~") == os.environ["HOME"] != "/home/technician"
    assert "ANTHROPIC_API_KEY" not in os.environ
    assert "PGHOST" not in os.environ
    assert "https_proxy" not in os.environ
    assert "DBUS_SESSION_BUS_ADDRESS" not in os.environ
    assert os.environ["QT_QPA_PLATFORM"] == "offscreen"
    assert time.localtime(0).tm_zone == "CST"

def test_finds_no_keyring():
    "NoKeyringError"
    keyring.get_password("flowpilot", "claude")
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, str]:
    """What pytest had to say of each sample, empty for the ones that passed."""
    folder = tmp_path_factory.mktemp("samples")
    (folder / "test_samples.py").write_text(SAMPLES)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    command += ["--junitxml", str(folder / "report.xml"), str(folder)]
    environment = {
        **os.environ,
        "HOME": "/home/technician",
        "ANTHROPIC_API_KEY": "sk-ant-example",
        "PGHOST": "db.example",
        "https_proxy": "http://proxy.example:3128",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere",
    }
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert (folder / "report.xml").exists(), run.stdout + run.stderr
    found: dict[str, str] = {}
    for case in ET.parse(folder / "report.xml").iter("testcase"):
        name = case.attrib["name"]
        for verdict in case:
            if verdict.tag in ("failure", "error"):
                words = f"{verdict.attrib.get('message')}\n{verdict.text}"
                found[name] = found.get(name, "") + words
        found.setdefault(name, "")
    return found


def _expectations() -> list[tuple[str, str]]:
    module = ast.parse(SAMPLES)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (node.name, ast.get_docstring(node) or "")
        for node in module.body
        if isinstance(node, kinds) and node.name.startswith("test_")
    ]


@pytest.mark.parametrize(("name", "words"), _expectations())
def test_the_guard_says(reports: dict[str, str], name: str, words: str):
    if words:
        assert words in reports[name]
    else:
        assert reports[name] == ""
