"""Training of the classifier in `resources/flows/learned.bin`: `python -m tests.flows.training`.

It learns from the flows' phrases and samples, from the subjects elsewhere, and from the corpora
that may be looked at; the corpus that proves it (`PROOF`) is never among them. One linear support
vector machine per flow, against all the others, by dual coordinate descent (Hsieh et al. 2008,
"A Dual Coordinate Descent Method for Large-scale Linear SVM"). `--cross` prints what a fifth of
the corpora's texts find when the other four fifths are learned from.
"""

import hashlib
import math
import random
import sys
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowpilot_desktop.flows.elsewhere import SUBJECTS
from flowpilot_desktop.flows.learned import BUCKETS, FILE, NONE, Learned
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.matching import Matcher
from flowpilot_desktop.flows.model import GENERAL_ID
from tests.flows.matching import LEARNED_FROM, SHIPPED, Sample, samples

COST = 2.0
ROUNDS = 25
ENOUGH = 0.05
"""The largest step of a round below which a machine is trained."""

Vector = list[tuple[int, float]]


def material(library: FlowLibrary, parts: Iterable[str] = LEARNED_FROM) -> list[Sample]:
    """Return every text with its flow that is learned from."""
    found = [
        Sample(flow.id, text)
        for flow in library.flows.values()
        if flow.id != GENERAL_ID
        for text in (*flow.phrases, *flow.matches)
    ]
    found += [Sample(NONE, text) for words, phrases in SUBJECTS for text in (*words, *phrases)]
    for part in parts:
        found += samples(part)
    return found


def fingerprint(texts: Iterable[Sample]) -> str:
    """Return what tells one material from another."""
    digest = hashlib.sha256()
    for sample in texts:
        digest.update(f"{sample.flow}\0{sample.text}\0".encode())
    return digest.hexdigest()[:16]


@dataclass
class Machine:
    """One class against all others, trained on unit vectors."""

    weights: list[float]
    bias: float


def train(vectors: Sequence[Vector], signs: Sequence[int], seed: int) -> Machine:
    """Return the machine that parts the vectors with the sign 1 from those with -1."""
    weights = [0.0] * (BUCKETS + 1)
    alphas = [0.0] * len(vectors)
    order = list(range(len(vectors)))
    chance = random.Random(seed)
    diagonal = 1 / (2 * COST)
    for _ in range(ROUNDS):
        chance.shuffle(order)
        largest = 0.0
        for index in order:
            vector, sign = vectors[index], signs[index]
            said = weights[BUCKETS] + sum(weights[bucket] * value for bucket, value in vector)
            slope = sign * said - 1 + diagonal * alphas[index]
            if alphas[index] == 0.0 and slope >= 0:
                continue
            before = alphas[index]
            alphas[index] = max(0.0, before - slope / (2.0 + diagonal))  # |x|² is 1, and the bias
            step = (alphas[index] - before) * sign
            largest = max(largest, abs(step))
            if step:
                for bucket, value in vector:
                    weights[bucket] += step * value
                weights[BUCKETS] += step
        if largest < ENOUGH:
            break
    return Machine(weights[:BUCKETS], weights[BUCKETS])


def learn(texts: Sequence[Sample], heard: Sequence[dict[int, float]], made_of: str) -> Learned:
    """Return what is learned from texts, ``heard`` as their features."""
    often = [0] * BUCKETS
    for found in heard:
        for bucket in found:
            often[bucket] += 1
    many = len(texts)
    rare = [math.log((1 + many) / (1 + seen)) + 1 for seen in often]
    rarity = max(rare) / 255
    rarities = array("B", (round(value / rarity) for value in rare))
    vectors = []
    for found in heard:
        weighed = [(b, count * rarities[b] * rarity) for b, count in found.items()]
        norm = math.sqrt(sum(value * value for _, value in weighed)) or 1.0
        vectors.append([(bucket, value / norm) for bucket, value in weighed])
    names = sorted({sample.flow for sample in texts})
    machines = [
        train(vectors, [1 if sample.flow == name else -1 for sample in texts], seed)
        for seed, name in enumerate(names)
    ]
    scales = tuple(max(map(abs, machine.weights)) / 127 or 1.0 for machine in machines)
    weights = array("b", bytes(BUCKETS * len(names)))
    for column, (machine, scale) in enumerate(zip(machines, scales, strict=True)):
        for bucket, weight in enumerate(machine.weights):
            weights[bucket * len(names) + column] = round(weight / scale)
    biases = tuple(machine.bias for machine in machines)
    return Learned(tuple(names), weights, rarities, scales, biases, rarity, made_of)


def heard_in(matcher: Matcher, texts: Iterable[Sample]) -> list[dict[int, float]]:
    """Return the features of texts as the matcher hears them."""
    return [matcher.features(sample.text) for sample in texts]


def cross(library: FlowLibrary, folds: int = 5) -> None:
    """Print what the corpora's texts find that were left out of the training."""
    matcher = Matcher(library.flows.values())
    always = material(library, ())
    texts = [sample for part in LEARNED_FROM for sample in samples(part)]
    random.Random(1).shuffle(texts)
    always_heard, heard = heard_in(matcher, always), heard_in(matcher, texts)
    right = positives = false = 0
    for fold in range(folds):
        kept = [index for index in range(len(texts)) if index % folds != fold]
        learned = learn(
            always + [texts[index] for index in kept],
            always_heard + [heard[index] for index in kept],
            "",
        )
        judge = Matcher(library.flows.values(), learned)
        for sample in texts[fold::folds]:
            match = judge.match(sample.text)
            found = match.flow.id if match else NONE
            positives += sample.flow != NONE
            right += found == sample.flow != NONE
            false += sample.flow == NONE != found
        print(f"fold {fold + 1}: top-1 {right / positives:.3f}", end=" ", flush=True)
        print(
            f"false {false / max((fold + 1) * len(texts) / folds - positives, 1):.3f}", flush=True
        )


def main() -> None:
    library = FlowLibrary.load(SHIPPED)
    if "--cross" in sys.argv:
        cross(library)
        return
    started = time.monotonic()
    texts = material(library)
    heard = heard_in(Matcher(library.flows.values()), texts)
    learned = learn(texts, heard, fingerprint(texts))
    learned.save(SHIPPED / FILE)
    size = (SHIPPED / FILE).stat().st_size // 1024
    print(f"{len(texts)} texts learned in {time.monotonic() - started:.0f} s, {size} KB")


if __name__ == "__main__":
    main()
