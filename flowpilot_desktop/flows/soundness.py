"""Judging a flow as a whole: dead ends, idle circles, victory declared unproven."""

from __future__ import annotations

from collections.abc import Iterator

from flowpilot_desktop.flows.model import Flow, Node, NodeKind

NODE_LIMIT = 60


def judge(flow: Flow) -> list[tuple[int, str]]:
    """Return every finding on the graph as (line, message); the nodes by themselves are fine."""
    findings = _missing(flow)
    if findings:
        return findings  # what follows walks the graph
    if len(flow.nodes) > NODE_LIMIT:
        findings.append((0, f"The flow has more than {NODE_LIMIT} nodes; split it."))
    findings += _unreachable(flow)
    findings += _verifications(flow)
    findings += _cycles(flow)
    findings += _unproven(flow)
    return findings


def successors(flow: Flow, node: Node) -> Iterator[tuple[str, str]]:
    """Yield (edge name, node id) of every way on, a verification's inherited one included."""
    for name, edge in node.edges.items():
        yield name, edge.to
    if node.kind is NodeKind.VERIFICATION and "did_not_work" not in node.edges:
        for action in _acting(flow, node):
            yield "did_not_work", action.edges["did_not_work"].to


def _acting(flow: Flow, verification: Node) -> list[Node]:
    """Return the actions that lead to a verification."""
    return [
        node
        for node in flow.nodes.values()
        if node.kind is NodeKind.ACTION
        and any(edge.to == verification.id for edge in node.edges.values())
    ]


def _missing(flow: Flow) -> list[tuple[int, str]]:
    findings = []
    if flow.entry not in flow.nodes:
        findings.append((0, f"'entry' names the node '{flow.entry}', which does not exist."))
    for node in flow.nodes.values():
        for name, edge in node.edges.items():
            if edge.to not in flow.nodes:
                said = name.removeprefix("option:")
                findings.append(
                    (edge.line, f"'{said}' of '{node.id}' leads to '{edge.to}', which is no node.")
                )
    return findings


def _unreachable(flow: Flow) -> list[tuple[int, str]]:
    seen = {flow.entry}
    waiting = [flow.entry]
    while waiting:
        for _, to in successors(flow, flow.nodes[waiting.pop()]):
            if to not in seen:
                seen.add(to)
                waiting.append(to)
    return [
        (node.line, f"No answer leads to the node '{node.id}'.")
        for node in flow.nodes.values()
        if node.id not in seen
    ]


def _verifications(flow: Flow) -> list[tuple[int, str]]:
    """Find verifications that inherit 'did_not_work' from an action, but have none before them."""
    findings = []
    for node in flow.nodes.values():
        if node.kind is not NodeKind.VERIFICATION or "did_not_work" in node.edges:
            continue
        others = [
            before.id
            for before in flow.nodes.values()
            if before.kind is not NodeKind.ACTION
            and any(edge.to == node.id for edge in before.edges.values())
        ]
        if others or node.id == flow.entry:
            findings.append(
                (node.line, f"'{node.id}' is not only reached by actions: say 'did_not_work'.")
            )
    return findings


def _cycles(flow: Flow) -> list[tuple[int, str]]:
    """Find circles in which nothing is changed: they would ask the same things for ever."""
    idle = {
        node.id: [to for _, to in successors(flow, node)]
        for node in flow.nodes.values()
        if not node.changes
    }
    findings = []
    done: set[str] = set()
    for start, first in idle.items():
        if start in done:
            continue
        path = [start]
        ways = [iter(first)]
        while path:
            to = next(ways[-1], None)
            if to is None:
                done.add(path.pop())
                ways.pop()
            elif to in path:
                circle = " → ".join([*path[path.index(to) :], to])
                line = flow.nodes[path[-1]].line
                findings.append((line, f"A circle in which nothing is changed: {circle}."))
            elif to in idle and to not in done:
                path.append(to)
                ways.append(iter(idle[to]))
    return findings


def _unproven(flow: Flow) -> list[tuple[int, str]]:
    """Whoever reaches a resolution has answered a verification with 'worked' since the last try."""
    seen = {(flow.entry, False)}
    waiting = [(flow.entry, False)]
    while waiting:
        node_id, proven = waiting.pop()
        node = flow.nodes[node_id]
        for name, to in successors(flow, node):
            if node.kind is NodeKind.VERIFICATION:
                then = name == "worked"
            elif node.kind in (NodeKind.ACTION, NodeKind.RESOLUTION):
                then = False
            else:
                then = proven
            if (to, then) not in seen:
                seen.add((to, then))
                waiting.append((to, then))
    return [
        (node.line, f"'{node.id}' can be reached without a verification that was answered.")
        for node in flow.nodes.values()
        if node.kind is NodeKind.RESOLUTION and (node.id, False) in seen
    ]
