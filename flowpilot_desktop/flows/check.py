"""Checking flow files before anybody relies on them: ``flowpilot flows check``.

Beyond what loading finds, a flow's own samples are tried: each of ``matches`` must find its flow
and each of ``not_matches`` must not, next to the other flows that are checked with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.flows.learned import FILE, Learned
from flowpilot_desktop.flows.library import SUFFIXES, FlowLibrary, sift
from flowpilot_desktop.flows.loading import load_file
from flowpilot_desktop.flows.model import GENERAL_ID, Finding, Flow


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    files: int
    flows: tuple[Flow, ...]
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every file is a sound flow."""
        return self.files > 0 and not self.findings

    @property
    def text(self) -> str:
        """The report as lines for a terminal."""
        lines = [str(finding) for finding in self.findings]
        if not self.files:
            lines.append("No flow files (*.yaml) were found.")
        nodes = sum(len(flow.nodes) for flow in self.flows)
        lines.append(
            f"{counted(self.files, 'file')}, {counted(len(self.flows), 'sound flow')} with "
            f"{counted(nodes, 'node')}, {counted(len(self.findings), 'finding')}."
        )
        return "\n".join(lines)


def check(paths: Sequence[Path], beside: Iterable[Flow] = ()) -> Report:
    """Check files, and every flow file of folders; ``beside`` are flows that samples compete with.

    A path that does not exist is a finding.
    """
    files: list[Path] = []
    findings: list[Finding] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.exists():
            files.append(path)
        else:
            findings.append(Finding(path, 0, "There is no such file or folder."))
    flows, wrong = sift(load_file(path) for path in files)
    findings += wrong
    ids = {flow.id for flow in flows}
    learned = next((found for path in paths if (found := Learned.load(path / FILE))), None)
    library = FlowLibrary([*(f for f in beside if f.id not in ids), *flows], learned=learned)
    for flow in flows:
        findings += _samples(library, flow)
    return Report(len(files), tuple(flows), tuple(sorted(set(findings))))


def check_flow(flow: Flow, beside: Iterable[Flow] = ()) -> Report:
    """Try a loaded flow's own samples against the other flows."""
    library = FlowLibrary([*(other for other in beside if other.id != flow.id), flow])
    return Report(1, (flow,), tuple(sorted(set(_samples(library, flow)))))


def _samples(library: FlowLibrary, flow: Flow) -> Iterable[Finding]:
    path = flow.path or Path()
    if flow.id == GENERAL_ID:
        return
    for sample in flow.matches:
        found = library.match(sample)
        if found is None or found.flow.id != flow.id:
            instead = f"finds '{found.flow.id}'" if found else "finds no flow"
            yield Finding(path, 0, f"The sample “{sample}” of 'matches' {instead}.")
    for sample in flow.not_matches:
        found = library.match(sample)
        if found is not None and found.flow.id == flow.id:
            yield Finding(path, 0, f"The sample “{sample}” of 'not_matches' finds this flow.")
