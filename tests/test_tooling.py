"""The scripts in build/ do what their words say, each in a process and a folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parent.parent / "build"


def _script(code: str, folder: Path, **options) -> subprocess.Popen[str]:
    """Starts a Python with the modules of build/ next to it and no terminal, as CI would."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(options.pop("build", BUILD))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def _outcome(code: str, folder: Path, **options) -> tuple[int, str]:
    process = _script(code, folder, **options)
    words, _ = process.communicate(timeout=100)
    return process.returncode, words


# --- processes -------------------------------------------------------------------------------

# A child that puts a grandchild in a session of its own, as a daemon does, and says who it is.
DAEMON = """
import subprocess, sys
with open("daemon", "w") as file:
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    file.write(str(child.pid))
"""


def _call(command: str, *, limit: float | None = None, last_words: float = 30) -> str:
    return f"""
        import pathlib, sys
        import processes
        command = [sys.executable, "-c", {command!r}]
        folder, limit, last_words = pathlib.Path.cwd(), {limit}, {last_words}
        sys.exit(processes.call(command, folder=folder, limit=limit, last_words=last_words))
    """


def _gone(folder: Path) -> bool:
    pid = int((folder / "daemon").read_text())
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_answers_with_its_own_exit_code(tmp_path, code):
    assert _outcome(_call(f"raise SystemExit({code})"), tmp_path) == (code, "")


def test_a_command_that_leaves_a_daemon_fails_and_the_daemon_is_ended(tmp_path):
    code, words = _outcome(_call(DAEMON), tmp_path)
    assert code == 1
    assert "Left running, and ended now: sleep (" in words
    assert _gone(tmp_path)


STOPPING = "Stopping: this takes longer than 1 s."
STOPPED = "Stopped: this took longer than 1 s. Its processes were ended."


def test_the_time_limit_ends_everything_and_says_so(tmp_path):
    deaf = DAEMON + (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "while True:\n"
        "    time.sleep(600)\n"
    )
    code, words = _outcome(_call(deaf, limit=1, last_words=1), tmp_path)
    assert (code, words) == (124, f"\n{STOPPING}\n\n{STOPPED}\n")
    assert _gone(tmp_path)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_at_the_time_limit_pytest_still_prints_its_failures(tmp_path, workers):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_slow.py").write_text(
        textwrap.dedent(
            """
            import pathlib, subprocess, time

            def test_fails():
                assert "apples" == "pears"

            def test_hangs():
                child = subprocess.Popen(["sleep", "600"])
                pathlib.Path("daemon").write_text(str(child.pid))
                pathlib.Path("hangs").touch()
                time.sleep(600)
            """
        )
    )
    command = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:pytestqt", *workers]
    # The limit begins to count when the second test hangs, however busy the machine is.
    patient = f"""
        import pathlib, subprocess, sys
        import processes

        class Patient(subprocess.Popen):
            def wait(self, timeout=None):
                while timeout == 1 and self.poll() is None and not pathlib.Path("hangs").exists():
                    super().poll()
                return super().wait(timeout)

        subprocess.Popen = Patient
        command = [sys.executable, *{command}]
        sys.exit(processes.call(command, folder=pathlib.Path.cwd(), limit=1))
    """
    code, words = _outcome(patient, tmp_path)
    assert code == 124
    before, _, last_words = words.partition(STOPPING)
    assert "apples" not in before
    assert "assert 'apples' == 'pears'" in last_words
    assert "FAILED test_slow.py::test_fails" in last_words
    assert "1 failed" in last_words
    assert words.endswith(f"{STOPPED}\n")
    assert _gone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_in_order_and_leaves_nothing(tmp_path, number):
    orderly = DAEMON + (
        "import time\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        "    print('in order')\n"
    )
    process = _script(_call(orderly), tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    words, _ = process.communicate(timeout=30)
    assert (process.returncode, words) == (130, "in order\n")
    assert _gone(tmp_path)


# --- environment -----------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with the scripts and a lock that asks for nothing."""
    shutil.copytree(BUILD, tmp_path / "build", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / "here.py").touch()
    return tmp_path


def _prepare(project: Path) -> str:
    code, words = _outcome(
        "import environment; environment.prepare()", project, build=project / "build"
    )
    assert code == 0, words
    return words


def test_the_environment_is_made_once_and_again_when_it_has_to_be(project):
    made = "Making a virtual environment"
    installed = "Installing the locked requirements"
    python = project / ".venv" / "bin" / "python"
    stray = project / ".venv" / "stray"

    words = _prepare(project)
    assert made in words
    assert installed in words
    imported = [python, "-P", "-c", "import here, sys; assert sys.prefix != sys.base_prefix"]
    subprocess.run(imported, cwd="/", check=True)

    start = time.monotonic()
    assert _prepare(project) == ""
    assert time.monotonic() - start < 2  # generous: the machine may be busy with other tests

    (project / "requirements-dev.txt").write_text("# other needs\n")
    words = _prepare(project)
    assert made not in words
    assert installed in words

    stray.touch()
    (project / ".venv" / "flowpilot-ready").unlink()  # what an interruption leaves
    assert made in _prepare(project)
    assert not stray.exists()

    python.unlink()
    python.symlink_to("/nowhere/python")
    assert made in _prepare(project)
    subprocess.run(imported, cwd="/", check=True)


def test_two_at_once_make_one_environment(project):
    both = [
        _script("import environment; environment.prepare()", project, build=project / "build")
        for _ in range(2)
    ]
    words = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Making a virtual environment" in text for text in words) == 1
    assert sum("waiting for it" in text for text in words) == 1


def test_an_environment_whose_making_was_interrupted_is_made_anew(project):
    """Ctrl+C while ensurepip runs leaves an interpreter that starts, and no pip."""
    half = [sys.executable, "-m", "venv", "--without-pip", project / ".venv"]
    subprocess.run(half, check=True)
    assert "Making a virtual environment" in _prepare(project)


@pytest.mark.parametrize("folder", ["my projects", "Größe 100% #1 'x'", "日本"])
def test_an_awkward_folder_is_no_hindrance(project, tmp_path_factory, folder):
    there = tmp_path_factory.mktemp("awkward") / folder
    shutil.copytree(project, there)
    _prepare(there)
    python = there / ".venv" / "bin" / "python"
    # Before 3.13 Python reads .pth files in the system's encoding, seldom UTF-8 on Windows.
    latin = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([python, "-P", "-c", "import here"], cwd="/", env=latin, check=True)


def test_ctrl_c_while_installing_ends_in_words_and_the_next_start_goes_on(project):
    lock = project / "requirements-dev.txt"
    os.mkfifo(project / "slow.txt")
    lock.write_text("-r slow.txt\n")  # pip waits for what nobody writes
    dev = [sys.executable, project / "build" / "dev.py", "format"]
    with subprocess.Popen(
        dev, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while "Installing the locked requirements" not in process.stdout.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        words, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped." in words
    assert "environment.py" not in words  # no traceback of ours
    lock.write_text("")
    assert "Installing the locked requirements" in _prepare(project)


def test_a_failed_installation_is_told_and_tried_again(project):
    (project / "requirements-dev.txt").write_text(f"./nowhere.whl --hash=sha256:{'0' * 64}")
    code, words = _outcome(
        "import environment; environment.prepare()", project, build=project / "build"
    )
    assert code == 1
    assert "The requirements could not be installed" in words
    (project / "requirements-dev.txt").write_text("")
    assert "Making a virtual environment" in _prepare(project)


# --- system packages -------------------------------------------------------------------------

# Stand-ins for dpkg-query and apt-get around one file of installed names; the first installation
# fails, as it does when the lists are older than the archive.
DPKG_QUERY = """#!/bin/sh
cd "$(dirname "$0")"
sed 's/^/installed /' installed
exit 1
"""
APT_GET = """#!/bin/sh
cd "$(dirname "$0")"
echo "$DEBIAN_FRONTEND $*" >> calls
case "$*" in *install*)
    test -e stale && { rm stale; exit 100; }
    for name; do echo "$name"; done >> installed
esac
"""
WANTED = ["libegl1", "libglib2.0-0|libglib2.0-0t64", "xvfb"]


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A folder for the PATH that plays a Debian machine with one of three packages installed."""
    folder = tmp_path / "debian"
    folder.mkdir()
    for name, script in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    (folder / "installed").write_text("libglib2.0-0t64\n")
    (folder / "stale").touch()
    return folder


def _prepare_packages(debian: Path, user: int) -> tuple[int, str]:
    code = f"""
        import os
        os.environ["PATH"] = {str(debian)!r} + ":" + os.environ["PATH"]
        os.geteuid = lambda: {user}
        import environment
        try:
            environment._install_packages(environment.missing_packages({WANTED}))
        except environment.NotReadyError as error:
            raise SystemExit(f"{{error}}")
        assert environment.missing_packages({WANTED}) == []
    """
    return _outcome(code, debian.parent)


def test_missing_packages_are_installed_by_root(debian):
    code, words = _prepare_packages(debian, user=0)
    assert code == 0, words
    assert "Installing system packages, once: libegl1 xvfb" in words
    *updates, first, update, second = (debian / "calls").read_text().splitlines()
    install = "noninteractive -q -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "
    assert first == second == install + "libegl1 xvfb"
    assert {update, *updates} == {"noninteractive -q -o DPkg::Lock::Timeout=300 update"}


def test_missing_packages_are_named_to_everybody_else(debian):
    code, words = _prepare_packages(debian, user=1000)
    assert code == 1
    command = (
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends libegl1 xvfb"
    )
    assert command in words
    assert not (debian / "calls").exists()


# --- the command -----------------------------------------------------------------------------


def _dev(*arguments: str, **environment: str) -> tuple[int, str]:
    answer = subprocess.run(
        [sys.executable, BUILD / "dev.py", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, answer.stdout + answer.stderr


def test_help_names_every_verb():
    code, words = _dev("--help")
    assert code == 0
    verbs = ("run", "demo", "test", "check", "format", "bench", "shots", "eval", "package", "lock")
    assert [line.split()[0] for line in words.splitlines() if line.startswith("  ")] == list(verbs)


def test_the_folder_of_the_scripts_stays_as_it_is(project):
    before = set((project / "build").rglob("*"))
    subprocess.run(
        [sys.executable, project / "build" / "dev.py", "--help"],
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        check=True,
        capture_output=True,
    )
    assert set((project / "build").rglob("*")) == before


def test_an_unknown_verb_is_answered_with_help():
    assert _dev("fly") == (2, _dev("--help")[1])


def test_without_a_display_demo_says_so_and_starts_nothing():
    code, words = _dev("demo", QT_QPA_PLATFORM="", DISPLAY="", WAYLAND_DISPLAY="")
    assert code == 1
    assert "no display" in words


def test_the_checks_without_tests_need_no_system_packages(monkeypatch):
    """Whoever may not install packages can still format, lint and type-check."""
    monkeypatch.syspath_prepend(BUILD)
    import dev

    wanted: list[object] = []
    monkeypatch.setattr(dev, "prepare", lambda packages=(): wanted.append(packages))
    monkeypatch.setattr(dev, "_python", lambda *_, **__: 0)
    assert dev.check(["--no-tests"]) == 0
    assert dev.check([]) == 0
    assert wanted[0] == ()
    assert wanted[1]


def test_an_older_python_is_told_what_to_do():
    source = (BUILD / "dev.py").read_text(encoding="utf-8")
    pretend = "import sys\nsys.version_info = (3, 9, 2)\n"
    answer = subprocess.run(
        [sys.executable, "-c", pretend + source], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "needs Python 3.11 or newer; this is Python 3.9" in answer.stderr
