"""A streamed answer on the screen: how soon its first word, and whether the window stays alive.

The real application shows a session of 200 steps while the simulated Messages API streams 200
tokens a second over HTTP. The first word is timed from the moment its event is written to the
socket to the moment its label is painted; a gap is the time between two turns of a timer of one
millisecond on the window's thread while the answer streams. Simulator and window share a process
here, so both figures are rather too high.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import qasync
from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.session import Note, Source, Step, new_id
from flowpilot_desktop.services.model_access import KEY_NAME
from flowpilot_desktop.ui.cards.writing import WritingCard
from tests.bench import Measure, median
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators import claude as simulated
from tests.simulators.claude import Answer, ClaudeSimulator, running
from tests.simulators.claude_answers import card

STEPS = 200
TOKENS_A_SECOND = 200
TOKENS = 600
TOKEN = 4
"""Characters of a token."""
REPEATS = 20
WORDS = "Zyzzyva, look at the spooler of <computer name>."


@dataclass(frozen=True)
class Figures:
    """Seconds: from socket to paint for each answer, and each gap while a long one streamed."""

    first_words: list[float]
    gaps: list[float]

    @property
    def first_word_95(self) -> float:
        """What one in twenty first words exceeds."""
        return statistics.quantiles(self.first_words, n=20)[-1]

    @property
    def longest_gap(self) -> float:
        """The longest gap."""
        return max(self.gaps)


class Beat(QObject):
    """Ticks every millisecond and keeps the gaps."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.gaps: list[float] = []
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin."""
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        """End."""
        self._timer.stop()

    @Slot()
    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now


class PaintWatch(QObject):
    """Notes when the writing card first paints a word."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.at = 0.0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Look at the paint events of the card's title."""
        if not self.at and event.type() == QEvent.Type.Paint and watched.property("text"):
            self.at = time.perf_counter()
        return False


@contextmanager
def noting_the_first_word(left: list[float]) -> Iterator[None]:
    """Append the moment at which an event with the first letter of a card's text is written."""
    original = simulated._chunk
    written: dict[int, str] = {}

    def chunk(writer: asyncio.StreamWriter, content: bytes) -> None:
        for line in content.decode(errors="replace").splitlines():
            if not line.startswith("data: ") or "text_delta" not in line:
                continue
            before = written.get(id(writer), "")
            after = before + json.loads(line[6:])["delta"]["text"]
            written[id(writer)] = after
            marker = '"text": "'
            at = after.find(marker) + len(marker)
            if marker in after and len(after) > at and not (marker in before and len(before) > at):
                left.append(time.perf_counter())
        original(writer, content)

    simulated._chunk = chunk  # type: ignore[assignment]  # the same but for a name
    try:
        yield
    finally:
        simulated._chunk = original


async def measured(folder: Path, repeats: int = REPEATS, tokens: int = TOKENS) -> Figures:
    """Return the figures of an application on a new profile in the folder; needs the Qt loop."""
    with running() as simulator:
        async with at_the_desk(folder, demo=True) as technician:
            await _prepared(technician, simulator)
            first_words = [await _first_word(technician, simulator) for _ in range(repeats)]
            return Figures(first_words, await _gaps(technician, simulator, tokens))


async def _prepared(technician: Technician, simulator: ClaudeSimulator) -> None:
    app = technician.app
    await app.settings.change(type(app.settings).model_base_url, simulator.url)
    await app.desk.secrets.write(KEY_NAME, simulator.key)
    app.intake_model.set_text("Nobody on the second floor can print")
    app.intake_model.start()
    await until(lambda: app.session_model.view is not None, "the session")
    await until(lambda: technician.view.open_step is not None, "a card of Claude's")
    session_id = app.session_model.session_id
    now = app.desk.clock.now()
    notes = [
        Step(
            new_id(), session_id, number, Note(f"Looked at part {number}. " * 6),
            Source.ENGINEER, now, app.desk.engine.me.id, answered_at=now,
        )
        for number in range(2, STEPS + 1)
    ]  # fmt: skip
    await app.desk.store.save(*notes)
    await _answered(technician)


async def _answered(technician: Technician) -> None:
    """Answer and correct away the open card, so that the limit of steps is never reached."""
    app = technician.app
    model = app.session_model
    await until(
        lambda: not model.is_thinking and not model.is_busy and technician.view.open_step,
        "a card to answer",
    )
    step = technician.view.open_step
    assert step is not None
    await app.desk.store.forget(step)
    model.reload()
    await until(lambda: technician.view.open_step is None, "no open card")


async def _first_word(technician: Technician, simulator: ClaudeSimulator) -> float:
    app = technician.app
    watch = PaintWatch(app)
    left: list[float] = []
    simulator.script(Answer(json=card(text=WORDS), chunk=TOKEN, pace=1 / TOKENS_A_SECOND))
    with noting_the_first_word(left):
        app.session_model.think()
        writing = app.session_page.feed.card("writing")
        assert isinstance(writing, WritingCard)
        writing._title.installEventFilter(watch)
        await until(lambda: watch.at, "the first word on the screen")
    await _answered(technician)
    return watch.at - left[0]


async def _gaps(technician: Technician, simulator: ClaudeSimulator, tokens: int) -> list[float]:
    app = technician.app
    long = "Look at the spooler of <computer name>, then at its queue. "
    text = (long * (tokens * TOKEN // len(long) + 1))[: tokens * TOKEN]
    answer = Answer(json=card(text=text[:1500], why=text), chunk=TOKEN)
    simulator.script(replace(answer, pace=1 / TOKENS_A_SECOND))
    beat = Beat(app)
    app.session_model.think()
    await until(
        lambda: app.session_model.progress is not None and app.session_model.progress.text,
        "the stream",
    )
    beat.start()
    await until(
        lambda: (
            app.session_model.progress is None or len(app.session_model.progress.why) > tokens * 2
        ),
        "most of the answer",
        limit=120,
    )
    beat.stop()
    app.session_model.stop()
    gaps = beat.gaps
    beat.deleteLater()
    return gaps


def run() -> list[Measure]:
    """Measure on a fresh profile; draws off screen unless a platform is chosen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication.instance() or QApplication([])
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory(prefix="flowpilot-") as folder, loop:
        figures = loop.run_until_complete(measured(Path(folder)))
    floor = 1 / TOKENS_A_SECOND
    longest = figures.longest_gap
    return [
        Measure("first word, socket to paint", median(figures.first_words), floor, "one token"),
        Measure("first word, 95th percentile", figures.first_word_95, floor, "one token"),
        Measure(f"loop's gap beside {STEPS} steps", median(figures.gaps), 0.001, "the interval"),
        Measure("loop's longest gap", longest, 0.001, "the interval"),
    ]
