"""What was learned from many intakes: how much a text sounds like those of each flow.

Words that people choose are endless, and no list of keywords has them all. So a linear classifier
was trained on the flows' own phrases and on some thousand texts (``python -m tests.flows.training``
writes the file). It knows a text by its words, its pairs of words and its short runs of letters,
each hashed into a bucket, and gives every flow, and ``NONE``, a score: about 1 where the text is
its own, about -1 where it is not. A flow that was not there when it was trained has no score.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from pathlib import Path
from typing import Final

NONE: Final = "none"
"""The class of the texts that are none of the flows' business."""

BUCKETS: Final = 1 << 14
FILE: Final = "learned.bin"

_WORD: Final = re.compile(r"[^\W_]+|[%\\@]")
_RUNS: Final = (3, 4)
_HEARD: Final = 700
"""Characters of a text that count: the matter comes first, and long logs must not take long."""


def features(text: str, meanings: Iterable[str], worth: float) -> dict[int, float]:
    """Return how often something of each bucket is in a text, dampened.

    ``worth`` is whether it reports or asks (``intake.weight_of``).
    """
    words = _WORD.findall(text[:_HEARD].casefold())
    meant = [f"_{word}" for word in meanings]
    counts = {f"^{words[0]}": 1} if words else {}
    counts[f"={worth}"] = 1
    for line in (words, meant):
        for first, second in pairwise((*line, "|")):
            counts[first] = counts.get(first, 0) + 1
            pair = f"{first} {second}"
            counts[pair] = counts.get(pair, 0) + 1
        for word in line:
            padded = f" {word} "
            for length in _RUNS:
                for start in range(max(1, len(padded) - length + 1)):
                    run = f"~{padded[start : start + length]}"
                    counts[run] = counts.get(run, 0) + 1
    found: dict[int, float] = {}
    for feature, count in counts.items():
        bucket = zlib.crc32(feature.encode()) % BUCKETS
        found[bucket] = found.get(bucket, 0) + count
    return {bucket: 1.0 + math.log(count) for bucket, count in found.items()}


@dataclass(frozen=True, slots=True)
class Learned:
    """The trained scores of flows: whole numbers, and what they are scaled by, to be small.

    ``weights`` has a row per bucket with a weight per name, ``rarities`` how rare a bucket is, and
    ``made_of`` tells the material apart that it was trained on.
    """

    names: tuple[str, ...]
    weights: array[int]
    rarities: array[int]
    scales: tuple[float, ...]
    biases: tuple[float, ...]
    rarity: float
    made_of: str = ""

    @classmethod
    def load(cls, path: Path) -> Learned | None:
        """Return what a file holds, or None when there is none that can be read."""
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            told = json.loads(head)
            packed = zlib.decompress(body)
            names = tuple(str(name) for name in told["names"])
            many = len(names)
            if len(packed) != BUCKETS * (many + 1):
                return None
            return cls(
                names,
                array("b", packed[: BUCKETS * many]),
                array("B", packed[BUCKETS * many :]),
                tuple(float(scale) for scale in told["scales"]),
                tuple(float(bias) for bias in told["biases"]),
                float(told["rarity"]),
                str(told["made_of"]),
            )
        except (OSError, ValueError, KeyError, TypeError, zlib.error):
            return None

    def save(self, path: Path) -> None:
        """Write the file that ``load`` reads."""
        head = {
            "made_of": self.made_of,
            "names": self.names,
            "rarity": self.rarity,
            "scales": self.scales,
            "biases": self.biases,
        }
        body = zlib.compress(self.weights.tobytes() + self.rarities.tobytes(), 9)
        path.write_bytes(json.dumps(head).encode() + b"\n" + body)

    def scores(self, heard: Mapping[int, float]) -> Mapping[str, float]:
        """Return how much a text with these features sounds like those of each flow."""
        many = len(self.names)
        values = [count * self.rarities[bucket] * self.rarity for bucket, count in heard.items()]
        rows = [self.weights[bucket * many : (bucket + 1) * many] for bucket in heard]
        total = [sum(map(mul, values, column)) for column in zip(*rows, strict=True)]
        norm = math.hypot(*values) or 1.0
        return {
            name: found / norm * scale + bias
            for name, found, scale, bias in zip(
                self.names, total or [0.0] * many, self.scales, self.biases, strict=True
            )
        }
