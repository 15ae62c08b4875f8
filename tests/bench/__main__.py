"""``python -m tests.bench [NAME …] [--json FILE]``: runs the benchmarks and prints a table."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests import bench
from tests.bench import Measure


def main() -> int:
    """Runs what was named, or all."""
    known = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    known = sorted(name for name in known if not name.startswith("_"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    wanted = parser.parse_args()
    unknown = set(wanted.names) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    figures: dict[str, list[Measure]] = {}
    for name in wanted.names or known:
        run = getattr(importlib.import_module(f"tests.bench.{name}"), "run", None)
        if run is not None:
            figures[name] = [Measure(*row) for row in run()]
            print(_table(name, figures[name]), flush=True)
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(_report(figures), indent=2) + "\n", encoding="utf-8")
    return 0


def _table(name: str, measures: list[Measure]) -> str:
    width = max(len(measure.name) for measure in measures)
    lines = [f"\n{name:<{width}}  {'median':>9}  {'p99':>9}  {'ratio':>7}  floor"]
    for measure in measures:
        ratio = f"{measure.ratio:.2f}×" if measure.ratio is not None else ""
        floor = f"{_shown(measure.floor_seconds)}  {measure.floor}" if measure.ratio else ""
        lines.append(
            f"{measure.name:<{width}}  {_shown(measure.seconds):>9}  {_shown(measure.slow):>9}  "
            f"{ratio:>7}  {floor}".rstrip()
        )
    return "\n".join(lines)


def _shown(seconds: float) -> str:
    if not seconds:
        return ""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _report(figures: dict[str, list[Measure]]) -> dict[str, object]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "benchmarks": {
            name: [measure._asdict() | {"ratio": measure.ratio} for measure in measures]
            for name, measures in figures.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
