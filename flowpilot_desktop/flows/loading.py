"""Making a flow of a file, and naming everything that is wrong with it.

Reading never stops at the first mistake: each one becomes a ``Finding`` with file and line, and
only a file without any becomes a ``Flow``. What the keys mean is told in ``resources/flows``'
README; the graph as a whole is judged by ``soundness``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowpilot_desktop.core.session import (
    Action,
    Command,
    Option,
    Question,
    Resolution,
    Risk,
    Verification,
)
from flowpilot_desktop.flows import soundness
from flowpilot_desktop.flows.document import (
    Document,
    Mapping,
    Scalar,
    Sequence,
    Unreadable,
    Value,
    parse,
    read,
)
from flowpilot_desktop.flows.model import (
    BY_HAND,
    END,
    ESCALATE,
    GENERAL_ID,
    OTHER,
    RULED_OUT,
    SKIP,
    STRENGTHS,
    Body,
    Cause,
    Edge,
    Evidence,
    Finding,
    Flow,
    Node,
    NodeKind,
    option_edge,
)
from flowpilot_desktop.flows.wording import word_set

SHELLS: Final = ("powershell", "cmd", "terminal")
"""Windows PowerShell, the Windows command prompt, and a Unix shell such as macOS Terminal."""

TEXT_LIMIT: Final = 1200

_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RESULTS: Final = ("worked", "did_not_work", "could_not_try")
_FLOW_KEYS: Final = word_set(
    "id version title domain entry topics keywords phrases matches not_matches causes nodes"
)
_NODE_KEYS: Final = {
    NodeKind.QUESTION: word_set("why options other skip free_text next"),
    NodeKind.ACTION: frozenset(("why", "expect", "command", "tests", "next", *_RESULTS)),
    NodeKind.VERIFICATION: frozenset(("why", "expect", "tests", "next", *_RESULTS)),
    NodeKind.RESOLUTION: word_set("why action_taken follow_ups next"),
    NodeKind.ESCALATION: word_set("why collect"),
}
_EDGE_KEYS: Final = word_set("to supports weakens rules_out")
_OPTION_KEYS: Final = _EDGE_KEYS | {"label", "value", "also"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A flow, or what is wrong with its file."""

    path: Path
    flow: Flow | None
    findings: tuple[Finding, ...]


def load_file(path: Path) -> Loaded:
    """Return the flow of a file, or every finding that stands against it."""
    return _loaded(path, lambda: read(path))


def load_text(text: str, path: Path) -> Loaded:
    """Return the flow written in a text; ``path`` is what the findings call it."""
    return _loaded(path, lambda: parse(text))


def _loaded(path: Path, document: Callable[[], Document]) -> Loaded:
    try:
        opened = document()
    except Unreadable as error:
        return Loaded(path, None, (Finding(path, error.line, error.message),))
    reader = _Reader(path)
    for line, key in opened.repeated:
        reader.find(line, f"'{key}' is there twice; only the first counts.")
    flow = reader.flow(opened.root)
    findings = list(reader.findings)
    if not findings:
        findings += [Finding(path, line, message) for line, message in soundness.judge(flow)]
    return Loaded(path, None if findings else flow, tuple(sorted(set(findings))))


class _Reader:
    """Turns one document into a flow and gathers what is wrong on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self._causes: dict[str, Cause] = {}

    def find(self, line: int, message: str) -> None:
        self.findings.append(Finding(self.path, line, message))

    # --- values ------------------------------------------------------------------------------

    def _keys(self, mapping: Mapping, known: frozenset[str], what: str) -> None:
        for key, line in mapping.lines.items():
            if key not in known:
                self.find(line, f"'{key}' is no key of {what}. Known: {', '.join(sorted(known))}.")

    def _text(self, holder: Mapping, key: str, *, required: bool = False) -> str:
        value = holder.entries.get(key)
        if value is None:
            if required:
                self.find(holder.line, f"'{key}' is missing.")
            return ""
        return self._scalar(value, key)

    def _scalar(self, value: Value, key: str) -> str:
        if not isinstance(value, Scalar):
            self.find(value.line, f"'{key}' must be a text.")
            return ""
        text = value.text.strip()
        if not text:
            self.find(value.line, f"'{key}' is empty.")
        elif len(text) > TEXT_LIMIT:
            self.find(value.line, f"'{key}' is longer than {TEXT_LIMIT} characters.")
        return text

    def _texts(self, holder: Mapping, key: str) -> tuple[str, ...]:
        value = holder.entries.get(key)
        if value is None:
            return ()
        if not isinstance(value, Sequence):
            self.find(value.line, f"'{key}' must be a list of texts.")
            return ()
        return tuple(self._scalar(item, key) for item in value.items)

    def _identifier(self, text: str, line: int, what: str) -> str:
        if text and not _ID.fullmatch(text):
            self.find(line, f"{what} '{text}' may have small letters, digits and hyphens only.")
        return text

    def _line(self, holder: Mapping, key: str) -> int:
        return holder.lines.get(key, holder.line)

    def _mapping(self, holder: Mapping, key: str) -> Mapping | None:
        value = holder.entries.get(key)
        if value is None:
            self.find(holder.line, f"'{key}' is missing.")
            return None
        if not isinstance(value, Mapping) or not value.entries:
            self.find(value.line, f"'{key}' must be a mapping with at least one entry.")
            return None
        return value

    # --- the flow ----------------------------------------------------------------------------

    def flow(self, root: Mapping) -> Flow:
        self._keys(root, _FLOW_KEYS, "a flow")
        flow_id = self._identifier(
            self._text(root, "id", required=True), self._line(root, "id"), "The id"
        )
        title = self._text(root, "title", required=True)
        domain = self._text(root, "domain", required=True)
        self._read_causes(root)
        nodes = self._nodes(root)
        matches = self._texts(root, "matches")
        if flow_id and flow_id != GENERAL_ID and not matches:
            self.find(self._line(root, "matches"), "'matches' needs a sample intake text or more.")
        return Flow(
            id=flow_id,
            version=self._version(root),
            title=title,
            domain=domain,
            entry=self._text(root, "entry", required=True),
            nodes=nodes,
            causes=self._causes,
            topics=self._texts(root, "topics"),
            keywords=self._texts(root, "keywords"),
            phrases=self._texts(root, "phrases"),
            matches=matches,
            not_matches=self._texts(root, "not_matches"),
            path=self.path,
        )

    def _version(self, root: Mapping) -> int:
        text = self._text(root, "version", required=True)
        if text and not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            self.find(self._line(root, "version"), "'version' must be a whole number from 1.")
            return 0
        return int(text or 0)

    def _read_causes(self, root: Mapping) -> None:
        causes = self._mapping(root, "causes")
        if causes is None:
            return
        for cause_id, value in causes.entries.items():
            line = causes.lines[cause_id]
            self._identifier(cause_id, line, "The cause")
            weight = 1.0
            if isinstance(value, Mapping):
                self._keys(value, frozenset({"text", "weight"}), "a cause")
                text = self._text(value, "text", required=True)
                weight = self._weight(value)
            else:
                text = self._scalar(value, cause_id)
            self._causes[cause_id] = Cause(cause_id, text, weight)

    def _weight(self, cause: Mapping) -> float:
        text = self._text(cause, "weight") or "1"
        try:
            weight = float(text)
        except ValueError:
            weight = 0.0
        if not 0.0 < weight <= 20.0:  # noqa: PLR2004 - one line says the range and the error
            self.find(self._line(cause, "weight"), "'weight' must be a number above 0, at most 20.")
            return 1.0
        return weight

    # --- nodes -------------------------------------------------------------------------------

    def _nodes(self, root: Mapping) -> dict[str, Node]:
        nodes = self._mapping(root, "nodes")
        if nodes is None:
            return {}
        found = {}
        for node_id, value in nodes.entries.items():
            line = nodes.lines[node_id]
            self._identifier(node_id, line, "The node")
            if node_id == END:
                self.find(line, f"'{END}' is no name for a node: it stands for a flow that ends.")
            if not isinstance(value, Mapping):
                self.find(line, f"The node '{node_id}' must be a mapping.")
                continue
            kinds = [kind for kind in NodeKind if kind in value.entries]
            if len(kinds) != 1:
                words = ", ".join(NodeKind)
                self.find(line, f"The node '{node_id}' needs exactly one of: {words}.")
                continue
            found[node_id] = self._node(node_id, kinds[0], value, line)
        return found

    def _node(self, node_id: str, kind: NodeKind, node: Mapping, line: int) -> Node:
        self._keys(node, _NODE_KEYS[kind] | {kind.value}, f"a node of kind {kind}")
        tests = self._text(node, "tests")
        if tests and tests not in self._causes:
            self.find(self._line(node, "tests"), f"There is no cause '{tests}'.")
        edges: dict[str, Edge] = {}
        aliases: dict[str, tuple[str, ...]] = {}
        options = self._options(node, edges, aliases) if kind is NodeKind.QUESTION else ()
        body = self._body(kind, node, options)
        for name in _edge_names(kind, body):
            if name == "did_not_work" and kind is NodeKind.VERIFICATION and name not in node.lines:
                continue  # taken as "the action that led here did not work"
            edge = self._edge(node, name) or self._edge(node, "next")
            if edge is not None:
                edges[name] = edge
            elif kind is not NodeKind.RESOLUTION:
                self.find(line, f"'{node_id}' does not say where '{name}' (or 'next') leads.")
        return Node(node_id, kind, body, edges, tests, aliases, line)

    def _body(self, kind: NodeKind, node: Mapping, options: tuple[Option, ...]) -> Body:
        text = self._text(node, kind.value)
        why = self._text(node, "why")
        match kind:
            case NodeKind.QUESTION:
                free_text = self._flag(node, "free_text", default=True)
                return Question(text, why, options, free_text, self._skip(node))
            case NodeKind.ACTION:
                return Action(text, why, self._text(node, "expect"), self._command(node))
            case NodeKind.VERIFICATION:
                return Verification(text, why, self._text(node, "expect"))
            case NodeKind.RESOLUTION:
                done = self._text(node, "action_taken")
                return Resolution(text, done, self._texts(node, "follow_ups"), why)
            case NodeKind.ESCALATION:
                return escalation_body(text, why, self._texts(node, "collect"))

    def _skip(self, node: Mapping) -> bool:
        value = node.entries.get("skip")
        return not (isinstance(value, Scalar) and value.plain and value.text == "false")

    def _flag(self, node: Mapping, key: str, *, default: bool) -> bool:
        value = node.entries.get(key)
        if value is None:
            return default
        if isinstance(value, Scalar) and value.plain and value.text in ("true", "false"):
            return value.text == "true"
        self.find(value.line, f"'{key}' must be true or false.")
        return default

    def _options(
        self, node: Mapping, edges: dict[str, Edge], aliases: dict[str, tuple[str, ...]]
    ) -> tuple[Option, ...]:
        value = node.entries.get("options")
        if not isinstance(value, Sequence) or len(value.items) < 2:  # noqa: PLR2004
            line = value.line if value is not None else node.line
            self.find(line, "A question needs a list of at least two 'options'.")
            return ()
        options: list[Option] = []
        for item in value.items:
            if not isinstance(item, Mapping):
                self.find(item.line, "An option must be a mapping with label, value and to.")
                continue
            self._keys(item, _OPTION_KEYS, "an option")
            label = self._text(item, "label", required=True)
            word = self._text(item, "value") or _slug(label)
            if option_edge(word) in edges:
                self.find(item.line, f"The option value '{word}' is there twice.")
            if label.casefold() in (option.label.casefold() for option in options):
                self.find(item.line, f"The option label '{label}' is there twice.")
            options.append(Option(label, word))
            if "to" not in item.entries and "next" in node.entries:
                fallback = self._edge(node, "next")
                to = fallback.to if fallback else ""
            else:
                to = self._text(item, "to", required=True)
            edges[option_edge(word)] = Edge(to, self._evidence(item), self._line(item, "to"))
            aliases[word] = self._texts(item, "also")
        return tuple(options)

    def _command(self, node: Mapping) -> Command | None:
        value = node.entries.get("command")
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.find(value.line, "'command' must be a mapping with text, shell, risk, undo.")
            return None
        self._keys(value, frozenset({"text", "shell", "risk", "undo"}), "a command")
        text = self._text(value, "text", required=True)
        shell = self._text(value, "shell", required=True)
        if shell and shell not in SHELLS:
            self.find(
                self._line(value, "shell"), f"'shell' is '{shell}', not one of {', '.join(SHELLS)}."
            )
        word = self._text(value, "risk", required=True)
        if word and word not in list(Risk):
            self.find(
                self._line(value, "risk"), f"'risk' is '{word}', not one of {', '.join(Risk)}."
            )
        risk = Risk(word) if word in list(Risk) else Risk.DESTRUCTIVE
        undo = self._text(value, "undo")
        if word in list(Risk) and risk is not Risk.READ_ONLY and not undo:
            self.find(value.line, "A command that changes something needs 'undo': how to go back.")
        return Command(text, shell, risk, undo)

    # --- edges -------------------------------------------------------------------------------

    def _edge(self, node: Mapping, key: str) -> Edge | None:
        value = node.entries.get(key)
        if value is None or (key == SKIP and not self._skip(node)):
            return None
        if isinstance(value, Scalar):
            return Edge(self._scalar(value, key), line=value.line)
        if isinstance(value, Mapping):
            self._keys(value, _EDGE_KEYS, f"the edge '{key}'")
            if "to" not in value.entries and key != "next" and "next" in node.entries:
                fallback = self._edge(node, "next")
                to = fallback.to if fallback else ""
            else:
                to = self._text(value, "to", required=True)
            return Edge(to, self._evidence(value), value.line)
        self.find(value.line, f"'{key}' must be a node's id or a mapping with 'to'.")
        return None

    def _evidence(self, holder: Mapping) -> tuple[Evidence, ...]:
        found = []
        for key in ("supports", "weakens"):
            for cause, word, line in self._claims(holder, key):
                if word not in STRENGTHS:
                    words = ", ".join(STRENGTHS)
                    self.find(line, f"'{word}' is no strength. Known: {words}.")
                    continue
                factor = STRENGTHS[word]
                found.append(Evidence(cause, factor if key == "supports" else 1 / factor))
        for cause, _, _ in self._claims(holder, "rules_out"):
            found.append(Evidence(cause, RULED_OUT))
        names = [evidence.cause for evidence in found]
        for cause in sorted({name for name in names if names.count(name) > 1}):
            self.find(holder.line, f"The cause '{cause}' is named twice in one answer.")
        return tuple(found)

    def _claims(self, holder: Mapping, key: str) -> list[tuple[str, str, int]]:
        value = holder.entries.get(key)
        claims: list[tuple[str, str, int]] = []
        if isinstance(value, Sequence):
            claims = [(self._scalar(item, key), "clearly", item.line) for item in value.items]
        elif isinstance(value, Mapping) and key != "rules_out":
            claims = [
                (cause, self._scalar(word, cause), value.lines[cause])
                for cause, word in value.entries.items()
            ]
        elif value is not None:
            self.find(value.line, f"'{key}' must be a list of causes.")
        for cause, _, line in claims:
            if cause and cause not in self._causes:
                self.find(line, f"There is no cause '{cause}'.")
        return [claim for claim in claims if claim[0] in self._causes]


def _edge_names(kind: NodeKind, body: Body) -> tuple[str, ...]:
    """Return the edges, besides an option's, that a node of this kind has."""
    if kind is NodeKind.QUESTION and isinstance(body, Question):
        named = ((OTHER, body.free_text_allowed), (SKIP, body.skip_allowed))
        return tuple(name for name, allowed in named if allowed)
    if kind is NodeKind.RESOLUTION:
        return _RESULTS[1:]
    return _RESULTS if kind in (NodeKind.ACTION, NodeKind.VERIFICATION) else ()


def escalation_body(text: str, why: str = "", collect: tuple[str, ...] = ()) -> Question:
    """Return the card that advises to hand the session off, and what to put into the package."""
    parts = [text]
    if collect:
        parts += ["", "Put into the hand-off:", *(f"• {item}" for item in collect)]
    return Question(
        "\n".join(parts),
        why,
        (Option("Escalate now", ESCALATE), Option("Go on by hand", BY_HAND)),
        free_text_allowed=True,
        skip_allowed=True,
    )


def _slug(label: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", label.casefold())) or label.casefold()
