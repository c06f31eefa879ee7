"""Runs in flac-detective's environment: a path a line in, one JSON line out."""

import json
import os
import sys
import time

from flac_detective import FLACAnalyzer  # type: ignore[import-not-found]


def _cpu_s() -> float:
    """Return CPU seconds so far, those of ended children too: it re-encodes in a subprocess."""
    return sum(os.times()[:4])


def main() -> None:
    """Answer until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # its own chatter must not mix with the answers
    analyzer = FLACAnalyzer(deep=True)
    for line in sys.stdin:
        began, cpu = time.monotonic(), _cpu_s()
        result = analyzer.analyze_file(line.strip())
        answer = {
            "word": str(result.get("verdict")),
            "score": float(result.get("score", float("nan"))),
            "reason": str(result.get("reason", "")),
            "seconds": round(_cpu_s() - cpu, 3),
            "wall_s": round(time.monotonic() - began, 3),
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
