"""The log: redacted from its first record on, and nothing of that is loaded before the window."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET = "Winter-2031!"

LOGS = """
import logging, sys
from pathlib import Path
from flowpilot_desktop.diagnostics import start_logging

file = start_logging(Path(sys.argv[1]))
assert "flowpilot_desktop.core.redaction" not in sys.modules
if sys.argv[2] == "broken":
    sys.modules["flowpilot_desktop.core.redaction"] = None
try:
    raise ValueError("the pw is Winter-2031!")
except ValueError:
    logging.getLogger("one").warning("pw is %s", "Winter-2031!", exc_info=True, stack_info=True)
logging.getLogger("two").error("my pw is Winter-2031!")
"""


def _told(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_what_the_window_waits_for_does_without_the_gateway():
    heavy = ("core.redaction", "core.push", "core.session", "composition", "store", "services")
    told = _told("import flowpilot_desktop.start, sys; print(*sys.modules)").split()
    assert "flowpilot_desktop.settings" in told
    assert [
        name for name in told if name.startswith(tuple(f"flowpilot_desktop.{h}" for h in heavy))
    ] == []


def test_the_first_record_is_redacted(tmp_path):
    _told(LOGS, str(tmp_path), "whole")
    log = (tmp_path / "flowpilot.log").read_text(encoding="utf-8")
    assert SECRET not in log
    assert log.count("[password 1]") >= 3
    assert "ValueError" in log


def test_without_the_gateway_nothing_passes(tmp_path):
    _told(LOGS, str(tmp_path), "broken")
    log = (tmp_path / "flowpilot.log").read_text(encoding="utf-8")
    lines = [line.partition(" ")[2].partition(" ")[2] for line in log.splitlines()]
    words = "This could not be redacted and is left out"
    assert lines == [f"WARNING one: {words}", f"ERROR two: {words}"]
