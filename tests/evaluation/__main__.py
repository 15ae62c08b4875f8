"""`python -m tests.evaluation`: how far the flows alone bring a technician."""

import statistics
import sys
from collections import Counter

from flowpilot_desktop.core.session import Tier
from flowpilot_desktop.flows.library import FlowLibrary
from tests.evaluation.replay import SHIPPED, Summary, evaluate

VAGUE = (0.1, 0.3, 0.5)


def report(summary: Summary, library: FlowLibrary) -> str:
    outcomes = summary.outcomes
    kinds = Counter(outcome.world.kind for outcome in outcomes)
    lines = [f"{len(outcomes)} worlds", ""]
    lines.append(f"{'kind':18} {'worlds':>6} {'as expected':>12} {'cards':>6}")
    for kind, count in kinds.most_common():
        mine = [o for o in outcomes if o.world.kind == kind]
        cards = statistics.mean(len(o.record.steps) for o in mine)
        lines.append(f"{kind:18} {count:6d} {sum(o.as_expected for o in mine):12d} {cards:6.1f}")
    over = summary.over
    lines += [
        "",
        f"intake finds its flow      {summary.matched(library):6.1%}",
        f"solved, where curable      {summary.solved:6.1%}",
        f"escalated, where not       {summary.honest:6.1%}",
        f"cards over the optimum     {statistics.mean(over):6.2f} mean, {max(over)} at most",
        f"repeated cards             {summary.repeated:6d}",
        f"repeated on a fresh start  {summary.fresh_repeated:6d}",
        f"unsupported conclusions    {summary.unsupported:6d}",
        f"resolved, cause mistaken   {summary.mistaken:6d}",
        "",
        "tier         cards  first hypothesis is the cause",
    ]
    for tier, (cards, right) in summary.calibration().items():
        lines.append(f"{tier:12} {cards:5d}  {right / max(cards, 1):6.1%}")
    lines += ["", "questions answered “not sure” by chance, each world five times:"]
    for share in VAGUE:
        vague = evaluate(library, share, 5)
        guided, right = vague.calibration()[Tier.GUIDED]
        lines.append(
            f"  {share:4.0%} vague  solved {vague.solved:6.1%}  honest {vague.honest:6.1%}  "
            f"guided rightly {right / max(guided, 1):6.1%}  unsupported {vague.unsupported}  "
            f"mistaken {vague.mistaken}  "
            f"repeated {vague.repeated + vague.fresh_repeated}"
        )
    return "\n".join(lines)


def main() -> None:
    library = FlowLibrary.load(SHIPPED)
    summary = evaluate(library)
    print(report(summary, library))
    for outcome in summary.outcomes:
        wrong = [*outcome.repeated, *outcome.fresh_repeated, *outcome.unsupported]
        wrong += [f"takes “{outcome.mistaken}” for the cause"] if outcome.mistaken else []
        if wrong or not outcome.as_expected or "--all" in sys.argv:
            path = " → ".join(outcome.record.nodes)
            print(f"\n{outcome.world.name}: {outcome.ended}, {wrong}\n  {path}")


if __name__ == "__main__":
    main()
