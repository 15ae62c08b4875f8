"""The flows that can be walked: those shipped with the app and the technician's own.

A file of one's own replaces a shipped flow with the same id. A file that does not load is left out
and reported in ``findings``; the others are not disturbed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from flowpilot_desktop.flows.learned import FILE, Learned
from flowpilot_desktop.flows.loading import Loaded, escalation_body, load_file
from flowpilot_desktop.flows.matching import FlowMatch, Matcher
from flowpilot_desktop.flows.model import (
    GENERAL_ID,
    Cause,
    Finding,
    Flow,
    Node,
    NodeKind,
)

log = logging.getLogger(__name__)

SUFFIXES = (".yaml", ".yml")


class FlowLibrary:
    """Loaded flows by id, what was wrong with the others, and a search over them."""

    def __init__(
        self,
        flows: Iterable[Flow],
        findings: Iterable[Finding] = (),
        learned: Learned | None = None,
    ) -> None:
        self.flows = MappingProxyType({flow.id: flow for flow in flows})
        self.findings = tuple(findings)
        self._learned = learned

    @classmethod
    def load(cls, folder: Path, own_folder: Path | None = None) -> FlowLibrary:
        """Load every flow of both folders, ready to be searched.

        What does not load is in ``findings``.
        """
        flows: dict[str, Flow] = {}
        findings: list[Finding] = []
        for place in (folder, own_folder):
            if place is None:
                continue
            loaded, wrong = load_folder(place)
            flows.update({flow.id: flow for flow in loaded})
            findings += wrong
        for finding in findings:
            log.warning("A troubleshooting flow was left out: %s", finding)
        library = cls(flows.values(), findings, Learned.load(folder / FILE))
        library.match("")  # weighs every word: here, off the thread that shows the window
        return library

    def flow(self, flow_id: str) -> Flow | None:
        """Return a flow, or None when it is not (or no longer) there."""
        return self.flows.get(flow_id)

    @property
    def general(self) -> Flow:
        """The flow of last resort; a single piece of advice where even its file is broken."""
        return self.flows.get(GENERAL_ID) or _LAST_RESORT

    def match(self, text: str) -> FlowMatch | None:
        """Return the flow that an intake text is about, or None when too little speaks for any."""
        return self._matcher.match(text)

    def candidates(self, text: str, limit: int = 5) -> tuple[FlowMatch, ...]:
        """Return the flows that an intake text may be about, the best first, however weak."""
        return self._matcher.candidates(text, limit)

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self.flows.values(), self._learned)


def load_folder(folder: Path) -> tuple[list[Flow], list[Finding]]:
    """Return the flows of a folder's files in the order of their names, and the findings."""
    if not folder.is_dir():
        return [], []
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return sift(load_file(path) for path in files)


def sift(files: Iterable[Loaded]) -> tuple[list[Flow], list[Finding]]:
    """Part what loaded from what did not; of two files with one id the first stays."""
    flows: dict[str, Flow] = {}
    findings: list[Finding] = []
    for loaded in files:
        findings += loaded.findings
        flow = loaded.flow
        if flow is None:
            continue
        first = flows.get(flow.id)
        if first is not None:
            other = first.path.name if first.path else ""
            findings.append(Finding(loaded.path, 1, f"The id '{flow.id}' is taken by {other}."))
        else:
            flows[flow.id] = flow
    return list(flows.values()), findings


_LAST_RESORT = Flow(
    id=GENERAL_ID,
    version=1,
    title="General diagnosis",
    domain="General",
    entry="hand-over",
    nodes={
        "hand-over": Node(
            "hand-over",
            NodeKind.ESCALATION,
            escalation_body(
                "No troubleshooting flow fits this problem. Log what you try by hand, "
                "or hand the session on."
            ),
        )
    },
    causes={"unknown": Cause("unknown", "Not known yet")},
)
