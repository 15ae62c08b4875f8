"""Mistakes that are not made twice: each rule says what is wrong with a place and what to do.

Three kinds: rules on a module's syntax tree, rules on the text of every tracked file, and rules on
which files there are. Each carries a sample that it must catch and one that it must let pass.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Modules whose business is a terminal.
COMMAND_LINE = ("flowpilot_desktop/__main__.py", "sync/__main__.py")
THEME = "flowpilot_desktop/ui/theme.py"
# What can't be read as text, or is nobody's prose.
NOT_PROSE = (".png", ".ico", ".icns", ".ttf", ".otf", ".gif", ".jpg", ".sqlite", ".mo", ".bin")


def tracked_files() -> list[str]:
    """The paths that git keeps, or all that a clean source archive holds."""
    # The checkout may belong to somebody else, which git takes badly: our question is harmless.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached"]
    if (ROOT / ".git").exists():
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [path for path in answer.stdout.split("\0") if path]
    else:
        hidden = {".venv", ".work", "dist", "__pycache__"}
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        paths = [path.as_posix() for path in found if hidden.isdisjoint(path.parts)]
    return sorted(path for path in paths if (ROOT / path).is_file())


# --- rules on syntax -------------------------------------------------------------------------


class _Polling(ast.NodeTransformer):
    """Takes away the sleeps of loops that look again and again for a condition."""

    def visit_While(self, node: ast.While) -> ast.While:
        if not isinstance(node.test, ast.Constant):
            node.body = [part for part in node.body if not _is_sleep(part)]
        self.generic_visit(node)
        return node


def _is_sleep(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return _sleeps(value.value if isinstance(value, ast.Await) else value)


@cache
def _nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_Polling().visit(ast.parse(source))))


@dataclass(frozen=True)
class SyntaxRule:
    """No node of a module that matches `where`, but for `unless`, may be one that `catches`.

    `bad` and `good` are samples for a module at `path`.
    """

    name: str
    catches: Callable[[ast.AST], bool]
    instead: str
    bad: str
    good: str
    where: str = "flowpilot_desktop/"
    unless: tuple[str, ...] = ()
    path: str = "flowpilot_desktop/sample.py"

    def broken_by(self, source: str, path: str) -> Iterator[str]:
        """Yields words for each place of a source text that breaks the rule."""
        if re.match(self.where, path) and path not in self.unless:
            for node in _nodes(source):
                if self.catches(node):
                    yield f"{path}:{getattr(node, 'lineno', 1)}: {self.name}. {self.instead}"


def _called(*names: str) -> Callable[[ast.AST], bool]:
    """True of a call of a method with one of these names."""

    def catches(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in names
        )

    return catches


def _named(*names: str) -> Callable[[ast.AST], bool]:
    """True of any use of a name: imported, called, inherited from or taken as an attribute."""

    def catches(node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                return name in names
        return False

    return catches


def _prints(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def _connects_a_lambda(node: ast.AST) -> bool:
    return _called("connect")(node) and any(
        isinstance(argument, ast.Lambda) for argument in getattr(node, "args", ())
    )


def _is_left_open(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(
            value=ast.Name(id="pytest") | ast.Attribute(attr="mark"),
            attr="skip" | "skipif" | "xfail" | "importorskip",
        ):
            return True
        case ast.Raise(
            exc=ast.Name(id="NotImplementedError")
            | ast.Call(func=ast.Name(id="NotImplementedError"))
        ):
            return True
        case ast.Assert(test=ast.Constant(value=True)):
            return True
    return False


def _sleeps(node: ast.AST | None) -> bool:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="asyncio" | "time"), attr="sleep"),
            args=[ast.Constant(value=0), *_],
        ):
            return False  # lets others run, and waits for nothing
        case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio" | "time"), attr="sleep")):
            return True
    return False


_TURNED_BY_THE_WHEEL = ("QComboBox", "QSpinBox", "QDoubleSpinBox", "QTimeEdit", "QDateTimeEdit")


def _takes_the_wheel(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _TURNED_BY_THE_WHEEL
    )


def _has_no_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module) and bool(node.body) and not ast.get_docstring(node)


SYNTAX_RULES = (
    SyntaxRule(
        name="exec() spins a nested event loop",
        catches=_called("exec", "exec_"),
        instead="Other tasks' wake-ups are lost in it for good: use open() and a Future.",
        bad="dialog.exec()",
        good='dialog.open()\n"no .exec() in prose either"',
    ),
    SyntaxRule(
        name="processEvents re-enters the event loop",
        catches=_named("processEvents"),
        instead="Await something, or let the loop come round by itself.",
        bad="QCoreApplication.processEvents()",
        good="await done",
    ),
    SyntaxRule(
        name="asyncSlot keeps no reference to its task, asyncClose spins processEvents",
        catches=_named("asyncSlot", "asyncClose"),
        instead="Use a plain @Slot() that hands a coroutine to Tasks.",
        bad="@asyncSlot()\ndef f(): ...",
        good="@Slot()\ndef f(): ...",
    ),
    SyntaxRule(
        name="Qt threads",
        catches=_named("QThread", "QThreadPool", "QRunnable", "QThreadExecutor"),
        instead="There is one Qt and asyncio thread; a blocking driver has its own worker.",
        bad="from PySide6.QtCore import QThread",
        good="from PySide6.QtCore import QTimer",
    ),
    SyntaxRule(
        name="a stylesheet for one widget",
        catches=_called("setStyleSheet"),
        instead="There is one stylesheet, on the application: set a dynamic property instead.",
        bad="self.setStyleSheet('color: red')",
        good="self.setProperty('tone', 'danger')",
        unless=(THEME,),
    ),
    SyntaxRule(
        name="a lambda as a slot",
        catches=_connects_a_lambda,
        instead="It keeps its widgets alive past their deletion: connect a bound method.",
        bad="button.clicked.connect(lambda: self.go())",
        good="button.clicked.connect(self.go)",
    ),
    SyntaxRule(
        name="a field that the wheel changes without the focus",
        catches=_takes_the_wheel,
        instead="Scrolling a page must not change what is billed: use those of ui/fields.py.",
        bad="box = QComboBox(self)",
        good="box = Choice(self)\nmatch field:\n    case QComboBox() as box: ...",
        where="flowpilot_desktop/ui/",
        path="flowpilot_desktop/ui/sample.py",
    ),
    SyntaxRule(
        name="print",
        catches=_prints,
        instead="A desktop program has no terminal: log it, or put it on the screen.",
        bad="print('here')",
        good="log.info('here')",
        where="flowpilot_desktop/|sync/",
        unless=COMMAND_LINE,
    ),
    SyntaxRule(
        name="something left open",
        catches=_is_left_open,
        instead="Write it, or take it away: no stubs, no skipped tests, no empty assertions.",
        bad="@pytest.mark.skip\ndef test(): ...",
        good="card.skip()\ntry: ...\nexcept NotImplementedError: ...",
        where="flowpilot_desktop/|sync/|tests/|build/",
    ),
    SyntaxRule(
        name="a test that sleeps",
        catches=_sleeps,
        instead="It is too short on a busy machine and too long on any other: await a condition.",
        bad="async def test():\n    await asyncio.sleep(0.5)",
        good=(
            "async def test():\n    await asyncio.sleep(0)\n    await landed.wait()\n"
            "    while not done():\n        await asyncio.sleep(0.01)"
        ),
        # Simulators play slow servers.
        where=r"tests/(.*/)?test_\w+\.py$",
        path="tests/test_sample.py",
    ),
    SyntaxRule(
        name="no module docstring",
        catches=_has_no_docstring,
        instead="The first lines of a module tell what it is for.",
        bad="import os",
        good='"""The story."""\nimport os',
        where="flowpilot_desktop/|sync/|tests/|build/",
    ),
)


@pytest.mark.parametrize("rule", SYNTAX_RULES, ids=lambda rule: rule.name)
def test_source_keeps_the_rule(rule: SyntaxRule):
    broken = [
        words
        for path in tracked_files()
        if path.endswith(".py")
        for words in rule.broken_by((ROOT / path).read_text(encoding="utf-8"), path)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", SYNTAX_RULES, ids=lambda rule: rule.name)
def test_a_syntax_rule_bites(rule: SyntaxRule):
    assert list(rule.broken_by(rule.bad, rule.path))
    assert not list(rule.broken_by(rule.good, rule.path))
    assert not any(list(rule.broken_by(rule.bad, exempt)) for exempt in rule.unless)


# --- rules on text ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TextRule:
    """No line of a tracked file matches; this file is spelt so that it passes itself."""

    name: str
    pattern: str
    instead: str
    bad: str
    good: str

    def broken_by(self, text: str, path: str) -> Iterator[str]:
        """Yields words for each line that breaks the rule."""
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(self.pattern, line):
                yield f"{path}:{number}: {self.name}. {self.instead}"


TEXT_RULES = (
    TextRule(
        name="a package host",
        pattern=r"p[y]pi\.org|p[y]thonhosted\.org|registry\.n[p]mjs|d[e]b\.debian\.org",
        instead="Where packages come from is the installer's business, not the project's.",
        bad="--index-url https://" + "py" + "pi.org/simple",
        good="alembic==1.20.1",
    ),
    TextRule(
        name="a path of somebody's machine",
        pattern=rf"/r[o]ot/|{re.escape(str(ROOT))}(?![\w-])",
        instead="Say it relative to the project or to a folder that the system names.",
        bad=f'open("{ROOT}/x")',
        good='open(ROOT / "x")',
    ),
    TextRule(
        name="a note to oneself",
        pattern=r"(?<![\w-])(TO[D]O|FIX[M]E|X[X]X)(?![\w-])",
        instead="Do it now, or write an issue.",
        bad="# " + "TO" + "DO: later",
        good="# the to-do list of a technician",
    ),
)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.name)
def test_text_keeps_the_rule(rule: TextRule):
    broken = []
    for path in tracked_files():
        if not path.endswith(NOT_PROSE):
            text = (ROOT / path).read_text(encoding="utf-8")
            broken += list(rule.broken_by(text, path))
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.name)
def test_a_text_rule_bites(rule: TextRule):
    assert list(rule.broken_by(rule.bad, "sample.txt"))
    assert not list(rule.broken_by(rule.good, "sample.txt"))


# --- rules on files --------------------------------------------------------------------------

FILE_RULES = (
    # name, pattern of a path, what to do, a path that it catches, one that it lets pass
    (
        "a drawer for this and that",
        r"(^|/)(common|helpers?|managers?|misc|utils?)(\.py$|/)",
        "A module is a noun of the product: name what is in it, or move it to where it is used.",
        "flowpilot_desktop/core/utils.py",
        "flowpilot_desktop/core/session.py",
    ),
    (
        "a second lock file",
        r"(^|/)(uv\.lock|pylock\.toml|poetry\.lock|Pipfile\.lock)$",
        "requirements.txt and requirements-dev.txt are the locks; `dev.py lock` writes them.",
        "uv.lock",
        "requirements.txt",
    ),
    (
        "build/ as a package",
        r"^build/__init__\.py$",
        "It would hide the module that packagers call `build`.",
        "build/__init__.py",
        "build/dev.py",
    ),
    (
        "something that a tool made",
        r"(^|/)(__pycache__|\.venv|\.work|\.mypy_cache|\.ruff_cache|\.hypothesis|dist)/",
        "Take it out of git; .gitignore names it.",
        "dist/flowpilot-0.1.0.whl",
        "flowpilot_desktop/__init__.py",
    ),
)


def test_no_file_breaks_a_rule():
    broken = [
        f"{path}: {name}. {instead}"
        for path in tracked_files()
        for name, pattern, instead, _, _ in FILE_RULES
        if re.search(pattern, path)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(("name", "pattern", "instead", "bad", "good"), FILE_RULES)
def test_a_file_rule_bites(name, pattern, instead, bad, good):
    assert re.search(pattern, bad)
    assert not re.search(pattern, good)


def test_nothing_ignores_the_build_folder(tmp_path):
    """Git's own answer, from our .gitignore alone, whatever else the machine ignores."""
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    git = ["git", "-c", "core.excludesFile=", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)

    def ignored(path: str) -> bool:
        answer = subprocess.run([*git, "check-ignore", "--quiet", path], cwd=tmp_path, check=False)
        return answer.returncode == 0

    assert ignored(".venv/pyvenv.cfg")  # so that a question that always says no is noticed
    assert not ignored("build/dev.py")
    assert not ignored("build/flowpilot.spec")
