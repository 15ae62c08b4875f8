"""Replaying scripted worlds against the flows, and counting what came of it."""

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    Action,
    HypothesisStatus,
    Question,
    Resolution,
    Result,
    Step,
    StepKind,
    Tier,
    is_verified,
    tier,
)
from flowpilot_desktop.flows import walk
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.model import GENERAL_ID, Flow, NodeKind
from tests.flows.playing import Answer, Record

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "resources" / "flows"
STEP_LIMIT = 30
UNSURE = '"not sure, hard to say"'


@dataclass(frozen=True)
class World:
    """A hidden cause and what somebody in it sees; `worlds.yaml` tells the fields."""

    name: str
    intake: str
    flow: str
    cause: tuple[str, ...]
    facts: dict[str, str]
    kind: str = "plain"
    ends: str = "resolved"
    fixes: tuple[str, ...] = ()
    back: dict[str, str] = field(default_factory=dict)


def worlds() -> list[World]:
    rows: list[dict[str, Any]] = yaml.safe_load((HERE / "worlds.yaml").read_text("utf-8"))
    return [
        World(**{**row, "cause": tuple(row["cause"]), "fixes": tuple(row.get("fixes", ()))})
        for row in rows
    ]


class Technician:
    """Answers cards out of a world, and mends what a remedy mends."""

    def __init__(self, world: World, flow: Flow, vague: float = 0.0, seed: int = 0) -> None:
        """`vague` is the share of questions that they answer with "not sure"."""
        self.vague = vague
        self.random = random.Random(f"{world.name}{seed}")
        self.world = world
        self.flow = flow
        self.facts = dict(world.facts)
        self.left = set(world.cause)

    def answer(self, step: Step) -> Answer:
        fact = self.facts.get(step.flow_node)
        match step.body:
            case Question():
                return self._to_question(step.body, fact)
            case Action():
                return self._after_action(step.flow_node, fact)
            case Resolution():
                return Result.WORKED
            case _:
                if fact is not None:
                    return Result(fact)
                return Result.DID_NOT_WORK if self.left else Result.WORKED

    def _to_question(self, question: Question, fact: str | None) -> Answer:
        unsure = question.free_text_allowed and self.random.random() < self.vague
        if fact is not None and not unsure:
            return f'"{fact[1:]}"' if fact.startswith("~") else fact
        if question.options[0].value == "escalate":
            return "escalate"
        return UNSURE if question.free_text_allowed else question.options[0].value

    def _after_action(self, node_id: str, fact: str | None) -> Answer:
        cause = self.flow.nodes[node_id].tests
        remedy = node_id in self.world.fixes if self.world.fixes else cause in self.left
        if remedy and self.left:
            self.left.discard(cause if cause in self.left else next(iter(self.left)))
            return Result.DID_NOT_WORK if self.left else Result.WORKED
        if fact is not None:
            return Result(fact)
        return Result.DID_NOT_WORK if cause else Result.COULD_NOT_TRY


@dataclass
class Outcome:
    """How one world ended."""

    world: World
    flow: Flow
    record: Record
    ended: str
    optimum: int | None
    repeated: list[str]
    unsupported: list[str]
    mistaken: str
    fresh: Record | None = None
    fresh_repeated: list[str] = field(default_factory=list)

    @property
    def as_expected(self) -> bool:
        return self.ended == self.world.ends

    @property
    def over(self) -> int | None:
        """Cards beyond the shortest way of somebody who knows the cause."""
        if self.optimum is None or self.ended != "resolved":
            return None
        return len(self.record.steps) - self.optimum


def replay(library: FlowLibrary, world: World, vague: float = 0.0, seed: int = 0) -> Outcome:
    flow = library.flow(world.flow) or library.general
    technician = Technician(world, flow, vague, seed)
    record = Record(flow)
    _go_on(record, technician)
    if world.back and _ending(record) != "resolved":
        _correct(record, technician)
        _go_on(record, technician)
    outcome = Outcome(
        world,
        flow,
        record,
        _ending(record),
        _optimum(flow, world),
        _repeated(record.steps),
        _unsupported(record.steps),
        _mistaken(record.steps, flow, world),
    )
    if outcome.ended == "escalated":
        _pick_up_fresh(outcome, technician)
    return outcome


def _go_on(record: Record, technician: Technician) -> None:
    while len(record.steps) < STEP_LIMIT * 2:
        step = record.next()
        if step is None:
            return
        record.answer(technician.answer(step))


def _correct(record: Record, technician: Technician) -> None:
    """Goes back card by card to the one that was answered wrongly, and answers it anew."""
    technician.facts.update(technician.world.back)
    while (correction := walk.back(record.flow, record.steps)) is not None:
        if record.steps[-1].is_open:  # the card that was passed on the way back
            record.steps = record.steps[:-1]
        record.add(correction.draft, correction.corrects)
        if correction.draft.flow_node in technician.world.back:
            record.answer(technician.answer(record.steps[-1]))
            return


def _pick_up_fresh(outcome: Outcome, technician: Technician) -> None:
    fresh = Record(outcome.flow, outcome.record.steps)
    fresh.picked_up(BRIEFING_FRESH)
    _go_on(fresh, technician)
    outcome.fresh = fresh
    outcome.fresh_repeated = _repeated(fresh.steps)


def _ending(record: Record) -> str:
    last = record.steps[-1]
    if last.kind is StepKind.RESOLUTION:
        return "resolved"
    return "escalated" if last.response and last.response.option == "escalate" else "open"


def _repeated(steps: tuple[Step, ...]) -> list[str]:
    asked = Counter(
        step.flow_node
        for step in steps
        if step.flow_node
        and not step.corrects
        and step.kind in (StepKind.QUESTION, StepKind.ACTION)
        and not step.body.text.startswith("The flow “")
        and not (isinstance(step.body, Question) and step.body.options[0].value == "escalate")
    )
    return [node for node, times in asked.items() if times > 1]


def _mistaken(steps: tuple[Step, ...], flow: Flow, world: World) -> str:
    """The cause that a resolution names although it was another, or none; else nothing."""
    true_causes = {flow.causes[c].text for c in world.cause if c in flow.causes}
    named = steps[-1].body.text.partition("Cause: ")[2].rstrip(".")
    is_resolution = isinstance(steps[-1].body, Resolution)
    return named if is_resolution and named and named not in true_causes else ""


def _unsupported(steps: tuple[Step, ...]) -> list[str]:
    """Conclusions that nothing recorded bears out."""
    found = []
    for index, step in enumerate(steps):
        if tier(step.confidence) is Tier.GUIDED and (
            step.hypotheses[0].status is not HypothesisStatus.SUPPORTED
            or not step.hypotheses[0].evidence
        ):
            found.append(f"guided without support at {step.flow_node}")
        if isinstance(step.body, Resolution):
            if not is_verified(steps[:index]):
                found.append(f"{step.flow_node} without a verification")
            named = step.body.text.partition("Cause: ")[2].rstrip(".")
            if named and not step.hypotheses[0].evidence:
                found.append(f"{step.flow_node} names “{named}” without evidence")
    return found


def _optimum(flow: Flow, world: World) -> int | None:
    """Cards from the entry to the remedy, plus verification and resolution; None without a cure."""
    if world.ends != "resolved" or len(world.cause) != 1:
        return None
    remedies = set(world.fixes) or {
        node.id
        for node in flow.nodes.values()
        if node.kind is NodeKind.ACTION and node.tests == world.cause[0]
    }
    distance = {flow.entry: 1}
    queue = deque([flow.entry])
    while queue:
        node_id = queue.popleft()
        if node_id in remedies:
            return distance[node_id] + 2
        for edge in flow.nodes[node_id].edges.values():
            if edge.to not in distance:
                distance[edge.to] = distance[node_id] + 1
                queue.append(edge.to)
    return None


@dataclass
class Summary:
    """All worlds together."""

    outcomes: list[Outcome]

    @property
    def solved(self) -> float:
        """Share of the worlds with a cure that ended resolved."""
        curable = [o for o in self.outcomes if o.world.ends == "resolved"]
        return sum(o.ended == "resolved" for o in curable) / len(curable)

    @property
    def honest(self) -> float:
        """Share of the worlds without a cure that ended in advice to escalate."""
        others = [o for o in self.outcomes if o.world.ends == "escalated"]
        return sum(o.ended == "escalated" for o in others) / len(others)

    @property
    def over(self) -> list[int]:
        return [o.over for o in self.outcomes if o.over is not None]

    @property
    def repeated(self) -> int:
        return sum(len(o.repeated) for o in self.outcomes)

    @property
    def fresh_repeated(self) -> int:
        return sum(len(o.fresh_repeated) for o in self.outcomes)

    @property
    def unsupported(self) -> int:
        return sum(len(o.unsupported) for o in self.outcomes)

    @property
    def mistaken(self) -> int:
        return sum(bool(o.mistaken) for o in self.outcomes)

    def matched(self, library: FlowLibrary) -> float:
        """Share of the worlds whose intake finds its flow (none for the general flow)."""
        right = 0
        for outcome in self.outcomes:
            match = library.match(outcome.world.intake)
            found = match.flow.id if match else GENERAL_ID
            right += found == outcome.world.flow
        return right / len(self.outcomes)

    def calibration(self) -> dict[Tier, tuple[int, int]]:
        """Cards by tier: how many, and on how many the first hypothesis is the hidden cause."""
        counted = {t: [0, 0] for t in Tier}
        for outcome in self.outcomes:
            flow, world = outcome.flow, outcome.world
            true_causes = {flow.causes[c].text for c in world.cause if c in flow.causes}
            for step in outcome.record.steps[1:]:
                row = counted[tier(step.confidence)]
                row[0] += 1
                row[1] += bool(step.hypotheses) and step.hypotheses[0].text in true_causes
        return {t: (row[0], row[1]) for t, row in counted.items()}


def evaluate(library: FlowLibrary, vague: float = 0.0, seeds: int = 1) -> Summary:
    """Replays all worlds, several times where the technician is vague by chance."""
    return Summary(
        [replay(library, world, vague, seed) for seed in range(seeds) for world in worlds()]
    )
