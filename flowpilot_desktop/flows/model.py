"""What a flow is made of.

A flow is a tree (strictly: a graph without idle cycles) of nodes. A node is a card's body, ready
to be shown, and edges that say where each answer leads and what it says about the causes. Edges
are named ``option:<value>``, ``other`` (free text that names no option), ``skip``, and by result
``worked``, ``did_not_work``, ``could_not_try``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from flowpilot_desktop.core.session import Action, Question, Resolution, Risk, Verification

GENERAL_ID = "general"
"""The flow of last resort; no score ever picks it."""

ESCALATE = "escalate"
BY_HAND = "by_hand"
"""The two answers to an escalation node: hand it off, or go on by logging steps by hand."""

END = "end"
"""What ``flow_node`` says when a flow has no node left and advises to escalate."""

OTHER = "other"
SKIP = "skip"


def option_edge(value: str) -> str:
    """Return the name of the edge of an option."""
    return f"option:{value}"


class NodeKind(StrEnum):
    """The kinds of node; the word is also the key that holds the node's text in the file."""

    QUESTION = "question"
    ACTION = "action"
    VERIFICATION = "verification"
    RESOLUTION = "resolution"
    ESCALATION = "escalation"


Body = Question | Action | Verification | Resolution
"""What the card of a node shows; an escalation is a question whether to hand off."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer says about a cause: its odds are multiplied by ``factor``."""

    cause: str
    factor: float

    @property
    def rules_out(self) -> bool:
        """Whether it leaves the cause no chance."""
        return self.factor <= RULED_OUT


RULED_OUT = 0.002
"""The factor of ``rules_out``: not zero, so that a later, stronger answer can bring it back."""

STRENGTHS = {"weakly": 2.0, "clearly": 5.0, "strongly": 15.0}
"""Likelihood ratios behind the words that a flow's author writes."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Where an answer leads, and what it says about the causes."""

    to: str
    evidence: tuple[Evidence, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """A possible cause with its weight before anything is known."""

    id: str
    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Node:
    """One card of a flow. ``tests`` names the cause that an action or verification is about."""

    id: str
    kind: NodeKind
    body: Body
    edges: Mapping[str, Edge] = field(default_factory=dict)
    tests: str = ""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    line: int = 0

    @property
    def changes(self) -> bool:
        """Whether doing it changes a system."""
        if not isinstance(self.body, Action):
            return False
        return self.body.command is None or self.body.command.risk is not Risk.READ_ONLY


@dataclass(frozen=True, slots=True)
class Flow:
    """A troubleshooting flow, loaded and sound."""

    id: str
    version: int
    title: str
    domain: str
    entry: str
    nodes: Mapping[str, Node]
    causes: Mapping[str, Cause]
    topics: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    not_matches: tuple[str, ...] = ()
    path: Path | None = None

    def node(self, node_id: str) -> Node | None:
        """Return a node, or None when this version of the flow has no such node."""
        return self.nodes.get(node_id)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something wrong in a flow file, with the line it is on (from 1; 0 when it has none)."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {self.message}"
