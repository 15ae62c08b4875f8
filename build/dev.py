"""FlowPilot Desktop from a checkout: `python3 build/dev.py VERB [arguments]`.

  run       the application; arguments are passed on
  demo      the application with the practice company; arguments are passed on
  test      the tests; arguments go to pytest
  check     formatting, lint, types, import contracts and tests (--no-tests leaves these out)
  format    formats the source and applies ruff's safe fixes
  bench     the benchmarks
  shots     pictures of every screen
  eval      the evaluation of the two minds
  package   freezes the application into .work/dist and makes this system's installer of it
  lock      writes requirements.txt and requirements-dev.txt anew (--upgrade for newer versions)

Each verb first makes the machine ready (see environment.py), so that a fresh clone needs nothing
but this command and Python 3.11 or newer.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # whoever has an older one should read why
    sys.exit(
        "FlowPilot Desktop needs Python 3.11 or newer; this is Python {}.{}.\n"
        "Please install a newer one and start this file with it, for example:\n\n"
        "  python3.11 build/dev.py".format(*sys.version_info)
    )

sys.dont_write_bytecode = True  # build/ is a folder that nothing writes into

import os
import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial

import installers
import processes
import product
from environment import PYTHON, QT_PACKAGES, ROOT, TEST_PACKAGES, WORK, NotReadyError, prepare

TEST_LIMIT = 18 * 60  # seconds for a whole run of the tests
CHECKS = (
    ("ruff format", ["-m", "ruff", "format", "--check"]),
    ("ruff check", ["-m", "ruff", "check"]),
    ("mypy", ["-m", "mypy"]),
    ("imports", ["-c", "from importlinter.cli import lint_imports_command as c; c()"]),
)
# What the application answers in the terminal.
WINDOWLESS = frozenset({"doctor", "export", "flows", "--help", "--version", "-h"})

Verb = Callable[[Sequence[str]], int]


def run(arguments: Sequence[str]) -> int:
    """The application, in the caller's folder, so that relative paths mean what they say."""
    if WINDOWLESS.isdisjoint(arguments):
        _require_display()
    prepare(QT_PACKAGES)
    return processes.replace([PYTHON, "-P", "-m", "flowpilot_desktop", *arguments])


def demo(arguments: Sequence[str]) -> int:
    """The application with the practice company."""
    return run(["--demo", *arguments])


def test(arguments: Sequence[str]) -> int:
    """The tests, off screen, under a hard time limit; all of them share up to four cores."""
    prepare(TEST_PACKAGES)
    chosen = arguments or ["-n", str(min(4, os.cpu_count() or 1))]
    return _python(["-m", "pytest", *chosen], limit=TEST_LIMIT)


def check(arguments: Sequence[str]) -> int:
    """Every check, also after one has failed; the summary comes last."""
    if list(arguments) not in ([], ["--no-tests"]):
        print(f"check knows --no-tests and nothing else; it got: {' '.join(arguments)}")
        return 2
    prepare(() if arguments else TEST_PACKAGES)
    steps = [(name, partial(_python, command)) for name, command in CHECKS]
    if not arguments:
        steps.append(("tests", partial(test, [])))
    summary, failed = [], 0
    for name, step in steps:
        print(f"── {name}", flush=True)
        start = time.monotonic()
        code = step()
        failed += code != 0
        words = "ok" if code == 0 else f"failed ({code})"
        summary.append(f"  {name:<12} {words:<12} {time.monotonic() - start:6.1f} s")
    print("\n".join(["── summary", *summary]), flush=True)
    return 1 if failed else 0


def format_(arguments: Sequence[str]) -> int:
    """Formats the source and applies the safe fixes."""
    prepare()
    return _python(["-m", "ruff", "check", "--fix", *arguments]) | _python(
        ["-m", "ruff", "format", *arguments]
    )


def bench(arguments: Sequence[str]) -> int:
    """The benchmarks."""
    prepare(TEST_PACKAGES)
    return _python(["-m", "tests.bench", *arguments])


def shots(arguments: Sequence[str]) -> int:
    """Pictures of every screen."""
    prepare(TEST_PACKAGES)
    return _python(["-m", "tests.shots", *arguments])


def evaluate(arguments: Sequence[str]) -> int:
    """The evaluation of the two minds."""
    prepare(TEST_PACKAGES)
    return _python(["-m", "tests.evaluation", *arguments])


def package(arguments: Sequence[str]) -> int:
    """Freezes the application and makes the installer; nothing is written into build/.

    On Windows FLOWPILOT_SIGN_COMMAND, such as `signtool sign /fd sha256 /a`, signs each program and
    the installer. A system without what makes its installer gets the frozen folder, and is told.
    """
    prepare(QT_PACKAGES)
    freeze = ["-m", "PyInstaller", "--noconfirm", "--clean"]
    freeze += ["--workpath", str(WORK / "freeze"), "--distpath", str(WORK / "dist")]
    code = _python([*freeze, *arguments, str(ROOT / "build" / "flowpilot.spec")])
    if code:
        return code
    folder = WORK / "dist" / product.NAME
    size = sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink())
    print(f"{folder.relative_to(ROOT)}: {size / 1e6:.0f} MB", flush=True)
    ending = ".exe" if sys.platform == "win32" else ""
    if ending and (sign := os.environ.get("FLOWPILOT_SIGN_COMMAND")):
        for program in sorted(folder.glob("*.exe")):
            words = [word.strip('"') for word in shlex.split(sign, posix=False)]
            if code := processes.call([*words, program], folder=ROOT):
                return code
    for name, asked in ((product.COMMAND, "--version"), (product.QUEUE_COMMAND, "--help")):
        if code := processes.call([folder / f"{name}{ending}", asked], folder=folder):
            return code
    return _installer()


def _installer() -> int:
    try:
        made = installers.installer(WORK / "dist", WORK / "freeze" / "flowpilot")
    except installers.NoToolError as missing:
        print(f"No installer was made. {missing}", flush=True)
        return 0
    except installers.ToolFailedError as failed:
        print(f"No installer was made. {failed}", flush=True)
        return 1
    print(f"{made.relative_to(ROOT)}: {made.stat().st_size / 1e6:.0f} MB", flush=True)
    return 0


def lock(arguments: Sequence[str]) -> int:
    """Both lock files, for every system and every supported Python in one file each."""
    prepare()
    compile_ = ["-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    compile_ += ["--python-version", "3.11", "--no-header", "--no-annotate"]
    compile_ += ["--no-emit-index-url", "--no-emit-find-links", *arguments, "pyproject.toml"]
    extras = ["--extra", "demo", "--extra", "dev"]
    code = _python([*compile_, *extras, "-o", "requirements-dev.txt"])
    # The runtime lock is the part of the other that the application itself needs.
    return code or _python([*compile_, "-c", "requirements-dev.txt", "-o", "requirements.txt"])


VERBS: dict[str, Verb] = {
    "run": run,
    "demo": demo,
    "test": test,
    "check": check,
    "format": format_,
    "bench": bench,
    "shots": shots,
    "eval": evaluate,
    "package": package,
    "lock": lock,
}


def _require_display() -> None:
    if (
        sys.platform.startswith("linux")
        and not os.environ.get("DISPLAY")
        and not os.environ.get("WAYLAND_DISPLAY")
        and not os.environ.get("QT_QPA_PLATFORM")
    ):
        raise NotReadyError(
            "FlowPilot opens a window, and this terminal has no display to open it on. Nothing was "
            "started. Type this in a terminal of your desktop; over ssh, `ssh -X` brings one along."
        )


def _python(arguments: Sequence[str], *, limit: float | None = None) -> int:
    return processes.call([PYTHON, *arguments], folder=ROOT, limit=limit)


def main(arguments: Sequence[str]) -> int:
    """Runs one verb and returns its exit code."""
    if not arguments or arguments[0] not in VERBS:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        return VERBS[arguments[0]](arguments[1:])
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What was begun is finished or begun anew the next time.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
