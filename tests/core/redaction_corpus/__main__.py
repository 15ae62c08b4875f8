"""Prints how well the redactor does on the corpus; ``--show development`` lists what went wrong."""

import sys

from tests.core.redaction_corpus import PARTS, scored, table

if __name__ == "__main__":
    scores = {part: scored(part) for part in PARTS}
    for shown in sys.argv[2:] if "--show" in sys.argv[1:2] else ():
        for sample in scores[shown].leaked:
            print(f"LEAKED  {sample.kind}: {sample.text!r}")
        for sample, text in scores[shown].changed:
            print(f"CHANGED {sample.kind}: {sample.text!r} -> {text!r}")
        for sample, words in scores[shown].overmasked:
            print(f"MORE    {sample.kind}: {sample.text!r} lost {words!r}")
    print("\n".join(table(scores)))
