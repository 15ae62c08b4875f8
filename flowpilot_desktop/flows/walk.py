"""Walking a flow by what was recorded.

There is no position to save: the recorded steps are the position. A step counts when it came from
the flow and names one of its nodes; notes by hand and a model's steps in between do not move it.
But they are not forgotten either: an answered card that asks for the same as a node stands for that
node, so nobody is asked twice. Questions and actions are asked once (a question again when a change
was made since), verifications after every fix.

Going back is a new step that corrects: the corrected answer stays in the record and counts no more.
A fresh start after a pickup takes everything tried before as known, and where the flow would give
up it proposes what nobody has tried.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    Action,
    HypothesisStatus,
    Question,
    Resolution,
    Response,
    Result,
    Source,
    Step,
    StepBody,
    StepDraft,
    StepKind,
)
from flowpilot_desktop.flows import belief
from flowpilot_desktop.flows.loading import escalation_body
from flowpilot_desktop.flows.model import (
    END,
    OTHER,
    SKIP,
    STRENGTHS,
    Edge,
    Evidence,
    Flow,
    Node,
    NodeKind,
    option_edge,
)
from flowpilot_desktop.flows.wording import is_same, is_same_command, named_option

_ASKED_AT_MOST: Final = 3
_FIX_FAILED: Final = 1 / 5
_NO_FIX_LEFT: Final = 1 / 50
_DID_NOT_HOLD: Final = 1 / 1500
"""What a failed remedy says about its cause; the last also takes back that it seemed to work."""

_CAUSE_NAMED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Correction:
    """A card asked anew, and the id of the answered step that it corrects."""

    draft: StepDraft
    corrects: str


def next_draft(flow: Flow, steps: tuple[Step, ...]) -> StepDraft | None:
    """Return the flow's next card, or None when it has nothing more to say.

    An unanswered card of the flow is drafted again as it stands.
    """
    return _Walk(flow, steps, _fresh_start(steps)).draft()


def start_after(flow: Flow, tried: tuple[Step, ...]) -> StepDraft | None:
    """Return the first card of a fresh start that repeats none of the steps tried before."""
    return _Walk(flow, tried, len(tried)).draft()


def can_go_back(flow: Flow, steps: tuple[Step, ...]) -> bool:
    """Return whether there is an answer that could be corrected."""
    return back(flow, steps) is not None


def back(flow: Flow, steps: tuple[Step, ...]) -> Correction | None:
    """Return the flow's last answered card asked anew, or None at the beginning.

    While a correction is open, the card before the corrected one.
    """
    walk = _Walk(flow, steps, _fresh_start(steps))
    trail = walk.trail()
    opened = next((step for step in reversed(steps) if step.is_open), None)
    if opened is not None and opened.corrects:
        ids = [step.id for step in trail]
        trail = trail[: ids.index(opened.corrects)] if opened.corrects in ids else trail
    for step in reversed(trail):
        node = flow.node(step.flow_node)
        if node is not None:
            return Correction(walk.card(node), step.id)
    return None


def flow_text(flow: Flow) -> str:
    """Return the flow as context for a model: causes, then every node and where answers lead."""
    lines = [f"Flow: {flow.title} ({flow.id}, version {flow.version})", f"Domain: {flow.domain}"]
    lines += ["Possible causes:", *(f"- {cause.text}" for cause in flow.causes.values())]
    lines.append(f"Steps, beginning with [{flow.entry}]:")
    for node in flow.nodes.values():
        text = " ".join(node.body.text.split())
        lines.append(f"[{node.id}] {node.kind}: {text}")
        if isinstance(node.body, Action) and node.body.command is not None:
            command = node.body.command
            lines.append(f"  command ({command.shell}, {command.risk}): {command.text}")
        labels = (
            {option_edge(option.value): option.label for option in node.body.options}
            if isinstance(node.body, Question)
            else {}
        )
        lines += [
            f"  {labels.get(name, name.replace('_', ' '))} → [{edge.to}]{_says(flow, edge)}"
            for name, edge in node.edges.items()
        ]
    return "\n".join(lines)


def _says(flow: Flow, edge: Edge) -> str:
    parts = []
    for evidence in edge.evidence:
        verb = "for"
        if evidence.factor < 1:
            verb = "rules out" if evidence.rules_out else "against"
        parts.append(f"{verb}: {flow.causes[evidence.cause].text}")
    return f" ({'; '.join(parts)})" if parts else ""


def _fresh_start(steps: tuple[Step, ...]) -> int:
    """Return the index after the last pickup that began afresh, 0 without one."""
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        # A briefing's words that came late repeat its answer and begin nothing.
        if step.kind is StepKind.BRIEFING and step.response is not None and not step.corrects:
            return index + 1 if step.response.option == BRIEFING_FRESH else 0
    return 0


class _Walk:
    """One look at the recorded steps. Steps before ``fresh`` are tried, the others are ours."""

    def __init__(self, flow: Flow, steps: tuple[Step, ...], fresh: int) -> None:
        self.flow = flow
        self.steps = steps
        self.fresh = fresh
        self._corrected = {
            step.corrects for step in steps if step.corrects and step.response is not None
        }
        self._known = self._known_nodes()
        self._belief = belief.weigh(flow, list(self._statements()))

    # --- what is recorded --------------------------------------------------------------------

    def _is_ours(self, step: Step) -> bool:
        return (
            step.source is Source.FLOW
            and step.flow_id == self.flow.id
            and (step.flow_node in self.flow.nodes or step.flow_node == END)
        )

    def _answered(self) -> Iterable[tuple[int, Step]]:
        """Yield the flow's answered steps that no correction has replaced."""
        for index, step in enumerate(self.steps):
            if self._is_ours(step) and step.response is not None and step.id not in self._corrected:
                yield index, step

    def trail(self) -> list[Step]:
        """Return the flow's answered, uncorrected steps in the order of the places they fill.

        A correction stands where the step stood that it corrects; what followed that one does not
        lead here any more.
        """
        trail: list[Step] = []
        for index, step in enumerate(self.steps):
            if index < self.fresh or not self._is_ours(step) or step.response is None:
                continue
            ids = [before.id for before in trail]
            if step.corrects in ids:
                trail = trail[: ids.index(step.corrects)]
            trail.append(step)
        return trail

    def _known_nodes(self) -> dict[str, tuple[int, Step]]:
        """Return, by node, the latest step that answers it: the flow's own, or one just like it."""
        known = {
            step.flow_node: (index, step)
            for index, step in self._answered()
            if step.flow_node in self.flow.nodes
        }
        foreign = [
            (index, step)
            for index, step in enumerate(self.steps)
            if not self._is_ours(step) and step.response is not None
        ]
        for node in self.flow.nodes.values():
            if node.id in known or node.kind not in (NodeKind.QUESTION, NodeKind.ACTION):
                continue
            for index, step in foreign:
                if _stands_for(step, node):
                    known[node.id] = (index, step)
        return known

    def _statements(self) -> Iterable[belief.Statement]:
        for index, step in self._answered():
            node = self.flow.node(step.flow_node)
            if node is not None:
                yield from self._said(node, index, step)
        for node_id, (index, step) in self._known.items():
            if not self._is_ours(step):
                yield from self._said(self.flow.nodes[node_id], index, step)

    def _said(self, node: Node, index: int, step: Step) -> Iterable[belief.Statement]:
        assert step.response is not None
        edge = self._edge(node, step.response, index)
        said = list(edge.evidence) if edge is not None else []
        said += self._implied(node, step.response, index, {item.cause for item in said})
        return [belief.Statement(step.id, item) for item in said]

    def _implied(
        self, node: Node, response: Response, index: int, explicit: set[str]
    ) -> list[Evidence]:
        """Return what a fix that worked, or did not, says about the cause it was meant for."""
        cause = node.tests
        if node.kind is NodeKind.VERIFICATION and not cause:
            acting = self._acting(node, index)
            cause = acting.tests if acting is not None else ""
        if not cause or cause in explicit:
            return []
        if response.result is Result.WORKED:
            return [Evidence(cause, STRENGTHS["strongly"])]
        if response.result is Result.DID_NOT_WORK:
            if node.kind is NodeKind.VERIFICATION:
                return [Evidence(cause, _DID_NOT_HOLD)]
            return [Evidence(cause, _FIX_FAILED if self._has_fix_left(cause) else _NO_FIX_LEFT)]
        return []

    def _has_fix_left(self, cause: str) -> bool:
        """Return whether the flow knows a remedy against a cause that nobody has tried."""
        return any(
            node.tests == cause and node.kind is NodeKind.ACTION and node.id not in self._known
            for node in self.flow.nodes.values()
        )

    # --- where it leads ----------------------------------------------------------------------

    def draft(self) -> StepDraft | None:
        """Return the next card, or None when the flow is done."""
        ours = [s for s in self.steps[self.fresh :] if self._is_ours(s)]
        last = ours[-1] if ours else None
        if last is None:
            return self._arrive(self.flow.entry)
        node = self.flow.node(last.flow_node)
        if last.response is None:
            if node is None:
                return self._end()
            return self.card(node) if last.corrects else self._arrive(node.id)
        if node is None or node.kind is NodeKind.ESCALATION:
            return None
        if node.kind is NodeKind.RESOLUTION and last.response.result is Result.WORKED:
            return None
        index = max(i for i, step in enumerate(self.steps) if step.id == last.id)
        edge = self._edge(node, last.response, index)
        return self._arrive(edge.to) if edge is not None else self._give_up(None)

    def _arrive(self, node_id: str) -> StepDraft:
        """Return the card of the first node from here on that nothing recorded answers."""
        passed: set[str] = set()
        came_by: int | None = None
        while node_id not in passed:
            passed.add(node_id)
            node = self.flow.nodes[node_id]
            if node.kind is NodeKind.ESCALATION:
                return self._give_up(node)
            known = self._reusable(node, came_by)
            if known is None:
                return self.card(node)
            index, response = known
            came_by = index if node.kind is NodeKind.ACTION else None
            edge = self._edge(node, response, index)
            if edge is None:
                break
            node_id = edge.to
        return self._give_up(None)

    def _reusable(self, node: Node, came_by: int | None) -> tuple[int, Response] | None:
        """Return the recorded answer to a node if asking again would only repeat it."""
        known = self._known.get(node.id)
        if known is None:
            return None
        index, step = known
        response = step.response
        assert response is not None
        match node.kind:
            case NodeKind.ACTION:
                return index, response
            case NodeKind.QUESTION:
                return None if self._is_outdated(node, index) else (index, response)
            case NodeKind.VERIFICATION:
                # Its answer belongs to one attempt: known only when that attempt is skipped too.
                failed = response.result is not Result.WORKED
                return (
                    (index, response)
                    if came_by is not None and index > came_by and failed
                    else None
                )
            case _:
                tried = index < self.fresh and response.result is not Result.WORKED
                return (index, response) if tried else None

    def _is_outdated(self, node: Node, index: int) -> bool:
        """Return whether a circle leads back to a question after something was changed.

        Without going back and without a fresh start nothing but a circle comes here again.
        """
        if self.fresh or any(step.corrects for step in self.steps[index:]):
            return False
        asked = sum(step.flow_node == node.id for _, step in self._answered())
        changed = any(
            i > index
            and (acted := self.flow.node(step.flow_node)) is not None
            and acted.changes
            and step.response is not None
            and step.response.result is not Result.COULD_NOT_TRY
            for i, step in self._answered()
        )
        return changed and asked < _ASKED_AT_MOST

    def _edge(self, node: Node, response: Response, index: int) -> Edge | None:
        """Return the way on from an answer, None where the flow says nothing."""
        if isinstance(node.body, Question):
            if response.skipped:
                return node.edges.get(SKIP) or node.edges.get(OTHER)
            value = response.option
            if value is None:
                value = named_option(node.body.options, node.aliases, response.text)
            edge = node.edges.get(option_edge(value)) if value is not None else None
            return edge or node.edges.get(OTHER) or node.edges.get(SKIP)
        if response.result is None:
            return None
        edge = node.edges.get(response.result.value)
        if edge is None and node.kind is NodeKind.VERIFICATION:
            acting = self._acting(node, index)
            return acting.edges[Result.DID_NOT_WORK.value] if acting is not None else None
        return edge

    def _acting(self, verification: Node, before: int) -> Node | None:
        """Return the action whose success a verification doubted: the latest that leads to it."""
        latest: tuple[int, Node] | None = None
        for index, step in self._answered():
            node = self.flow.node(step.flow_node)
            if node is None or node.kind is not NodeKind.ACTION or index >= before:
                continue
            if any(edge.to == verification.id for edge in node.edges.values()):
                latest = (index, node)
        if latest is None:  # the action was a card like it, of another source
            for node_id, (index, _) in self._known.items():
                node = self.flow.nodes[node_id]
                leads = any(edge.to == verification.id for edge in node.edges.values())
                if node.kind is NodeKind.ACTION and leads and index < before:
                    latest = max(latest or (index, node), (index, node), key=lambda pair: pair[0])
        return latest[1] if latest is not None else None

    # --- the end of the flow -----------------------------------------------------------------

    def _give_up(self, node: Node | None) -> StepDraft:
        """Return the advice to escalate, or on a fresh start what nobody has tried yet."""
        if self.fresh:
            untried = self._untried()
            if untried is not None:
                return self.card(untried)
        return self.card(node) if node is not None else self._end()

    def _untried(self) -> Node | None:
        """Return the most promising card that the known facts allow and nobody was asked."""
        open_nodes = [
            self.flow.nodes[node_id]
            for node_id in _reachable(self.flow, self._facts())
            if node_id not in self._known
            and self.flow.nodes[node_id].kind in (NodeKind.ACTION, NodeKind.QUESTION)
            and not self._belief.is_ruled_out(self.flow, self.flow.nodes[node_id].tests)
        ]
        return max(
            open_nodes,
            key=lambda node: (
                node.kind is NodeKind.ACTION,
                self._belief.shares.get(node.tests, 0.0),
            ),
            default=None,
        )

    def _facts(self) -> dict[str, str]:
        """Return, by question, the node that its known answer leads to."""
        facts = {}
        for node_id, (index, step) in self._known.items():
            node = self.flow.nodes[node_id]
            if node.kind is NodeKind.QUESTION and step.response is not None:
                edge = self._edge(node, step.response, index)
                if edge is not None and not step.response.skipped:
                    facts[node_id] = edge.to
        return facts

    def _end(self) -> StepDraft:
        body = escalation_body(
            f"The flow “{self.flow.title}” has no further step: hand this on to somebody "
            "who can look deeper, with what was tried."
        )
        return self._as_draft(END, body)

    # --- the card ----------------------------------------------------------------------------

    def card(self, node: Node) -> StepDraft:
        """Return a node's card with what the answers so far make likely."""
        body = node.body
        if isinstance(body, Resolution):
            body = self._concluded(body)
        return self._as_draft(node.id, body)

    def _as_draft(self, node_id: str, body: StepBody) -> StepDraft:
        return StepDraft(
            body=body,
            source=Source.FLOW,
            confidence=self._belief.confidence,
            hypotheses=self._belief.hypotheses,
            flow_id=self.flow.id,
            flow_node=node_id,
        )

    def _concluded(self, body: Resolution) -> Resolution:
        """Name the cause that the answers prove, and what was done about it."""
        top = self._belief.hypotheses[0] if self._belief.hypotheses else None
        text = body.text
        if (
            top is not None
            and top.status is HypothesisStatus.SUPPORTED
            and top.confidence >= _CAUSE_NAMED
        ):
            text = f"{text} Cause: {top.text}."
        done = body.action_taken or " ".join(self._done())
        return replace(body, text=text, action_taken=done)

    def _done(self) -> list[str]:
        """Return the changes that worked, as the cards put them."""
        return [
            " ".join(step.body.text.split())
            for _, step in self._answered()
            if (node := self.flow.node(step.flow_node)) is not None
            and node.changes
            and step.response is not None
            and step.response.result is Result.WORKED
        ]


def _reachable(flow: Flow, facts: dict[str, str]) -> list[str]:
    """Return the nodes that known facts leave reachable, the nearest first."""
    reached = [flow.entry]
    for node_id in reached:
        ways = (
            [facts[node_id]]
            if node_id in facts
            else [edge.to for edge in flow.nodes[node_id].edges.values()]
        )
        reached += [to for to in dict.fromkeys(ways) if to not in reached]
    return reached


def _stands_for(step: Step, node: Node) -> bool:
    """Return whether a card that did not come from the flow asks for the same as a node."""
    body = step.body
    if isinstance(node.body, Action) and isinstance(body, Action):
        if body.command is not None and node.body.command is not None:
            return is_same_command(body.command.text, node.body.command.text)
        return is_same(body.text, node.body.text)
    if isinstance(node.body, Question) and isinstance(body, Question):
        return is_same(body.text, node.body.text)
    return False
