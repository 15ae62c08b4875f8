"""From the start of the process to the first painted window, and to a session that can be worked.

The floor is a bare PySide6 window started in the same way, in turns with ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

RUNS = 7
Row = tuple[str, float, float]

_BARE = """
import sys, time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
class Window(QMainWindow):
    def paintEvent(self, event):
        print("painted", time.monotonic(), flush=True)
        QTimer.singleShot(0, QApplication.quit)
app = QApplication([])
window = Window()
window.resize(1200, 800)
window.show()
app.exec()
"""

_OURS = """
import sys, time
from pathlib import Path
from flowpilot_desktop import start
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.ui import shell
told = set()
def tell(what):
    if what not in told:
        told.add(what)
        print(what, time.monotonic(), flush=True)
class Window(shell.MainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        tell("painted")
shell.MainWindow = Window
async def fill(qt, profile, shell, *, minimized):
    import asyncio, importlib
    await asyncio.to_thread(importlib.import_module, "flowpilot_desktop.composition")
    from flowpilot_desktop import app
    restore = app.Application._restore
    async def ready(self):
        await restore(self)
        tell("ready")
        self.quit()
    app.Application._restore = ready
    return await app.live(qt, profile, shell)
start._fill = fill
start.run(Profile(Path(sys.argv[1]), is_demo=True, latency=0.0))
"""


def run() -> list[Row]:
    """Measure; medians of warm starts."""
    profile = Path(tempfile.mkdtemp(prefix="flowpilot-bench-"))
    try:
        _started(_OURS, str(profile))
        bare, painted, ready = [], [], []
        for _ in range(RUNS):
            bare.append(_started(_BARE)["painted"])
            ours = _started(_OURS, str(profile))
            painted.append(ours["painted"])
            ready.append(ours["ready"])
    finally:
        shutil.rmtree(profile, ignore_errors=True)
    return [
        ("start to first painted window", median(painted), median(bare)),
        ("start to a session that can be worked", median(ready), median(bare)),
    ]


def _started(code: str, *arguments: str) -> dict[str, float]:
    """Run the code in a new process; return the seconds to each thing that it tells."""
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    told = (line.split() for line in done.stdout.splitlines())
    return {what: float(at) - began for what, at in told}
