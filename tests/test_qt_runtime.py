"""The installed Qt binding survives what the application does with it all day."""

import subprocess
import sys

EMISSIONS = """
from PySide6.QtCore import QCoreApplication, QObject, Signal

class Sender(QObject):
    changed = Signal()

app = QCoreApplication([])
heard = 0

def hear():
    global heard
    heard += 1

sender = Sender()
sender.changed.connect(hear)
for _ in range(100_000):
    sender.changed.emit()
print(heard)
"""


def test_a_hundred_thousand_emissions_do_not_abort():
    """PySide6 6.12 on Python 3.11 drops a reference to True on every emit() until it aborts."""
    answer = subprocess.run(
        [sys.executable, "-c", EMISSIONS], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout.strip()) == (0, "100000"), answer.stderr
