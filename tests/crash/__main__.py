"""Kill the running app at random moments and hold it to its word: ``python -m tests.crash``.

After every kill (SIGKILL, no warning) the app is started again on the same profile, and what it
brings back is compared with what its screen had shown as done: every acknowledged answer is there
with its words, the same card is open, and the unsent text is at most half a second behind.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DRAFT_SECONDS = 0.5
START_SECONDS = 60.0


@dataclass
class Known:
    """What the screen has shown as done, over all lives of one profile."""

    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    session: str = ""
    cards: list[str] = field(default_factory=list)
    typed: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def take(self, told: dict[str, Any]) -> None:
        """Learn from one line."""
        match told["event"]:
            case "started":
                self.session = told["session"]
                self.cards.clear()
            case "card":
                self.session = told["session"]
                self.cards.append(told["card"])
            case "typed":
                self.typed.setdefault(told["card"], []).append((told["at"], told["draft"]))
            case "answered":
                self.answers.setdefault(told["session"], {})[told["card"]] = told["label"]
                self.answered.add(told["card"])
            case "ended":
                self.ended.add(told["session"])


@dataclass
class Figures:
    """What is printed at the end."""

    kills: int = 0
    answers_checked: int = 0
    same_card: int = 0
    next_card: int = 0
    lags: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    draft_seconds: float = DRAFT_SECONDS
    sessions_ended: int = 0


class Life:
    """One process of the app, and what it tells."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.began = time.monotonic()
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.child", str(folder), str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                self.told.put(json.loads(line))
        self.told.put(None)

    def wait_for(self, event: str, known: Known) -> dict[str, Any]:
        """Return the first line of that kind; learn from the others."""
        end = time.monotonic() + START_SECONDS
        while True:
            told = self.told.get(timeout=max(0.1, end - time.monotonic()))
            if told is None:
                self._ended_by_itself()
                continue
            if told["event"] == event:
                return told
            known.take(told)

    def _ended_by_itself(self) -> None:
        assert self.process.stderr is not None
        raise SystemExit(f"the app ended by itself:\n{self.process.stderr.read().decode()}")

    def kill(self, known: Known) -> float:
        """Kill it, and learn from everything that it had told."""
        if self.process.poll() is not None:
            self._ended_by_itself()
        at = time.monotonic()
        self.process.kill()
        self.process.wait()
        while (told := self.told.get(timeout=10)) is not None:
            known.take(told)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return at


def compare(  # noqa: C901 - one comparison after the other
    restored: dict[str, Any], known: Known, killed_at: float, figures: Figures
) -> None:
    """Hold what came back against what was known."""
    if not restored["session"]:
        if known.session and known.session not in known.ended and known.cards:
            figures.faults.append(f"session {known.session} did not come back")
        return
    session = restored["session"]
    for card, label in known.answers.get(session, {}).items():
        figures.answers_checked += 1
        if restored["answers"].get(card) != label:
            figures.faults.append(f"answer lost: {label!r} is {restored['answers'].get(card)!r}")
    if session != known.session or not known.cards:
        return
    card = known.cards[-1]
    if restored["card"] == card:
        figures.same_card += 1
        if card in known.answered:
            figures.faults.append("an answered card is open again")
        lag = _lag(restored["draft"], known.typed.get(card, []), killed_at)
        figures.lags.append(lag)
        if lag > figures.draft_seconds:
            figures.faults.append(f"the unsent text is {lag:.2f} s behind")
    elif card in known.answered or card in restored["answers"]:
        figures.next_card += 1
    else:
        figures.faults.append("another card is open")
    if restored["page"] != "session":
        figures.faults.append(f"page {restored['page']} is shown")


def _lag(draft: str, typed: list[tuple[float, str]], killed_at: float) -> float:
    """Return how old the restored text was: the time since the first keystroke it lacks."""
    for at, text in typed:
        if len(text) > len(draft):
            return killed_at - at
    return 0.0


def run(kills: int, seed: int, draft_seconds: float = DRAFT_SECONDS) -> Figures:
    """Kill so often; return the figures. ``draft_seconds`` is how far a draft may be behind."""
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="flowpilot-crash-"))
    figures, known = Figures(draft_seconds=draft_seconds), Known()
    killed_at = 0.0
    try:
        for number in range(kills + 1):
            life = Life(folder, seed * 100_000 + number)
            restored = life.wait_for("restored", known)
            figures.starts.append(time.monotonic() - life.began)
            if number:
                compare(restored, known, killed_at, figures)
            known.typed.clear()  # what an earlier life typed and lost is judged already
            if number < kills:
                time.sleep(chance.uniform(0.0, 2.5))
                figures.kills += 1
            killed_at = life.kill(known)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures.sessions_ended = len(known.ended)
    if figures.same_card + figures.next_card < kills // 3 or len(known.answered) < kills // 3:
        figures.faults.append("the script made too little progress to prove anything")
    return figures


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = run(options.kills, options.seed)
    print(f"kills                     {figures.kills}")
    print(f"acknowledged answers      {figures.answers_checked} checked")
    print(f"sessions worked through   {figures.sessions_ended}")
    print(f"same card open            {figures.same_card}")
    print(f"card answered at the kill {figures.next_card}")
    if figures.lags:
        print(f"unsent text behind, s     max {max(figures.lags):.2f}, ", end="")
        print(f"median {statistics.median(figures.lags):.2f}")
    print(f"start to restored, s      median {statistics.median(figures.starts):.2f}")
    print(f"faults                    {len(figures.faults)}")
    for fault in figures.faults:
        print(f"  {fault}")
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
