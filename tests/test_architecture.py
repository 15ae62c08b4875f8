"""Who may import whom, held against the source as it stands.

`CONTRACTS` is the whole list; each line carries a sample that breaks it, and a test proves that the
sample is caught. The layers themselves are import-linter's, in pyproject.toml; a test here proves
that it catches a step upwards. Imports are read from the syntax tree, the lazy ones inside
functions, those for type checkers and `import_module("…")` included.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flowpilot_desktop", "sync")
APP = "flowpilot_desktop"


@dataclass(frozen=True)
class Contract:
    """One rule: no module of `where`, but for those of `unless`, imports what is `forbidden`.

    What is in `but` is let pass all the same.
    A name stands for itself and all below it. With `only`, whatever is neither of the standard
    library nor in `only` is forbidden. `sample` is a module and a line in it that break the rule.
    """

    name: str
    where: tuple[str, ...]
    why: str
    sample: tuple[str, str]
    forbidden: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    def refuses(self, module: str, imported: str) -> bool:
        """Whether this import, in this module, breaks the contract."""
        if not _within(module, self.where) or _within(module, self.unless):
            return False
        if self.only is not None:
            standard = imported.partition(".")[0] in sys.stdlib_module_names
            return not standard and not _within(imported, self.only)
        return _within(imported, self.forbidden) and not _within(imported, self.but)


def _everywhere_but(library: str, homes: tuple[str, ...], why: str) -> Contract:
    return Contract(
        name=f"{library} only in {' and '.join(homes) or 'nothing of the application'}",
        where=(APP,),
        unless=homes,
        forbidden=(library,),
        why=why,
        sample=(f"{APP}.core.session", f"import {library}"),
    )


CONTRACTS = (
    Contract(
        name="core is the standard library alone",
        where=(f"{APP}.core",),
        only=(f"{APP}.core",),
        why="Nouns and rules are read and tested without knowing any tool that surrounds them.",
        sample=(f"{APP}.core.session", "from cattrs import structure"),
    ),
    Contract(
        name="sync stands alone",
        where=("sync",),
        only=("sync", "psycopg"),
        why="Whoever runs Postgres installs the queue without the desktop.",
        sample=("sync.queue", f"from {APP}.core import session"),
    ),
    Contract(
        name="the queue is reached through one adapter",
        where=(APP,),
        unless=(f"{APP}.composition", f"{APP}.services.queue"),
        forbidden=("sync",),
        why="Everybody else speaks to the queue through its port.",
        sample=(f"{APP}.services.escalations", "import sync.client"),
    ),
    Contract(
        name="nobody above the ports names a PSA adapter",
        where=(APP,),
        unless=(f"{APP}.composition", f"{APP}.psa"),
        forbidden=(f"{APP}.psa.connectwise", f"{APP}.psa.practice"),
        why="A new PSA is one file and one registry line; the registry is what others import.",
        sample=(f"{APP}.services.push", "from ..psa import connectwise"),
    ),
    Contract(
        name="nobody above the ports names a model adapter",
        where=(APP,),
        unless=(f"{APP}.composition", f"{APP}.llm"),
        forbidden=(f"{APP}.llm.claude",),
        why="A new model provider is one file and one registry line.",
        sample=(f"{APP}.services.assistant", f'importlib.import_module("{APP}.llm.claude")'),
    ),
    Contract(
        name="the engine runs without Qt",
        where=(APP, "sync"),
        unless=(f"{APP}.app", f"{APP}.start", f"{APP}.ui", f"{APP}.viewmodels"),
        forbidden=("PySide6", "shiboken6", "qasync"),
        why="The whole product can be driven, and is tested, as plain async Python.",
        sample=(f"{APP}.services.engine", "def f():\n    from PySide6 import QtCore"),
    ),
    Contract(
        name="composition knows no screen",
        where=(f"{APP}.composition",),
        forbidden=(f"{APP}.ui", f"{APP}.viewmodels", f"{APP}.app", f"{APP}.start"),
        why="The command line and the tests stand on it too.",
        sample=(f"{APP}.composition", "from .viewmodels import session"),
    ),
    _everywhere_but(
        "PySide6.QtWidgets",
        (f"{APP}.ui", f"{APP}.app", f"{APP}.start"),
        "ui is the only package that knows what a screen looks like.",
    ),
    Contract(
        name="app starts Qt and draws nothing",
        where=(
            f"{APP}.app",
            f"{APP}.start",
        ),
        forbidden=("PySide6.QtWidgets",),
        but=("PySide6.QtWidgets.QApplication",),
        why="ui is the only package that knows what a screen looks like.",
        sample=(f"{APP}.app", "from PySide6.QtWidgets import QApplication, QLabel"),
    ),
    _everywhere_but(
        "PySide6.QtGui",
        (f"{APP}.ui", f"{APP}.app", f"{APP}.start"),
        "QtCore is all of Qt that a view-model needs.",
    ),
    _everywhere_but(
        "sqlalchemy",
        (f"{APP}.store",),
        "SQLite stands behind one door; frozen dataclasses come out of it.",
    ),
    _everywhere_but("alembic", (f"{APP}.store",), "Migrations belong to the store."),
    _everywhere_but(
        "sqlite3",
        (f"{APP}.store", f"{APP}.diagnostics"),
        "SQLite stands behind one door; diagnostics tell its version.",
    ),
    _everywhere_but("anthropic", (f"{APP}.llm",), "Nothing of a vendor leaks through its port."),
    _everywhere_but(
        "httpx",
        (f"{APP}.psa", f"{APP}.diagnostics"),
        "HTTP is how an adapter does it; everybody else speaks to a port.",
    ),
    _everywhere_but("psycopg", (), "Postgres belongs to sync."),
    _everywhere_but(
        "keyring",
        (f"{APP}.credentials",),
        "Secrets pass through one module, on a worker thread, with a timeout.",
    ),
)


def _within(name: str, names: tuple[str, ...]) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in names)


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Every import of a source text as (line, dotted name), relative ones resolved.

    `from a import b` counts as `a.b`, since b may be a module.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=origin, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                base = [*base, *([origin] if origin else [])]
                yield from ((node.lineno, ".".join([*base, alias.name])) for alias in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _imports(func):
                yield node.lineno, name


def _imports(func: ast.expr) -> bool:
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name in {"import_module", "__import__"}


def violations(source: str, module: str, *, is_package: bool = False) -> list[tuple[Contract, str]]:
    """The contracts that a source text breaks, each with the words for whoever broke it."""
    return [
        (contract, f"{module}:{line} imports {imported}: {contract.name}. {contract.why}")
        for line, imported in imports(source, module, is_package=is_package)
        for contract in CONTRACTS
        if contract.refuses(module, imported)
    ]


def _modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(p for p in parts if p != "__init__"), path))
    return found


def test_the_source_keeps_every_contract():
    modules = _modules()
    assert {"flowpilot_desktop", "flowpilot_desktop.core.session"} <= {name for name, _ in modules}
    broken = [
        words
        for name, path in modules
        for _, words in violations(
            path.read_text(encoding="utf-8"), name, is_package=path.name == "__init__.py"
        )
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_a_violation_is_caught(contract: Contract):
    module, line = contract.sample
    assert contract in [broken for broken, _ in violations(line, module)]


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import a.b as c", "m.n", False, {"a.b"}),
        ("from a import b", "m.n", False, {"a.b"}),
        ("from . import b", "m.n", False, {"m.b"}),
        ("from . import b", "m.n", True, {"m.n.b"}),
        ("from ..x.y import b", "m.n.o", False, {"m.x.y.b"}),
        ("if TYPE_CHECKING:\n    import a", "m", False, {"a"}),
        ("async def f():\n    import a", "m", False, {"a"}),
        ("__import__('a.b')", "m", False, {"a.b"}),
    ],
)
def test_imports_are_found_wherever_they_stand(source, module, is_package, expected):
    assert {name for _, name in imports(source, module, is_package=is_package)} == expected


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_layers_hold_and_a_step_upwards_is_caught(tmp_path):
    """import-linter passes the source and fails when core imports a service."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    clean = _lint(tmp_path)
    assert clean.returncode == 0, clean.stdout

    (tmp_path / APP / "core" / "upwards.py").write_text(f"import {APP}.app\n")
    (tmp_path / APP / "app.py").touch()
    broken = _lint(tmp_path)
    assert broken.returncode == 1
    assert f"{APP}.core.upwards" in broken.stdout
