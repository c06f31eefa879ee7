"""Runs in bitrater's environment: a path a line in, one JSON line out."""

import json
import sys
import time

from bitrater.analyzer import AudioQualityAnalyzer  # type: ignore[import-not-found]


def main() -> None:
    """Answer until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # its own chatter must not mix with the answers
    analyzer = AudioQualityAnalyzer()
    for line in sys.stdin:
        began, cpu = time.monotonic(), time.process_time()
        result = analyzer.analyze_file(line.strip())
        answer = {
            "word": "none" if result is None else result.original_format,
            "score": float("nan") if result is None else float(result.confidence),
            "reason": "no answer" if result is None else "; ".join(result.warnings),
            "seconds": round(time.process_time() - cpu, 3),
            "wall_s": round(time.monotonic() - began, 3),
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
