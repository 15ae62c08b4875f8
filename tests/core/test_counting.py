"""One file, two files; and no text for people that counts without asking."""

import re
from pathlib import Path

import pytest

import flowpilot_desktop
from flowpilot_desktop.core.counting import counted

# A number in a string for people, and right after it a word that looks like a plural.
_UNASKED = re.compile(r"\{(?:len\([^{}]*\)|\w*count\w*|[\w.]*number of \w+)(?::,)?\} [a-z]+s\b")
_ALWAYS_MANY = re.compile(r"characters|__repr__|<\w+ of ")


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1_000, "1,000 files"), (-1, "-1 files")],
)
def test_one_is_singular_and_everything_else_is_not(number: int, said: str):
    assert counted(number, "file") == said


def test_a_plural_of_its_own_is_used():
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(3, "entry", "entries") == "3 entries"


def test_no_text_counts_for_itself():
    package = Path(flowpilot_desktop.__file__).parent
    found = [
        f"{path.relative_to(package)}:{number}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _UNASKED.search(line) and not _ALWAYS_MANY.search(line)
    ]
    assert not found, "say it with core.counting.counted:\n" + "\n".join(found)
