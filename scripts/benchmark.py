"""Times this package beside others on this machine and prints a table.

Each side of a case runs in a process of its own, and the two take turns. Nothing is read from
the network: networks are untrained, images and annotations are made up. Examples:

    python scripts/benchmark.py --suite cpu --json benchmark.json
    python scripts/benchmark.py --suite growth --plot growth.png
    KERAS_BACKEND=jax python scripts/benchmark.py --suite gpu
"""

import argparse
import json
import time
from pathlib import Path

from _benchmark import growth, report
from _benchmark.cases import CASES, SUITES
from _benchmark.harness import measure
from _common import EXIT_CODES, run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="cpu")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has this text")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default: 5)")
    parser.add_argument(
        "--seconds", type=float, default=2.5, help="length of a turn (default: 2.5)"
    )
    parser.add_argument("--quick", action="store_true", help="tiny forms, to see that they run")
    parser.add_argument("--json", metavar="FILE", help="also write the results there")
    parser.add_argument("--plot", metavar="FILE", help="draw the points of suite growth, a PNG")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    arguments = parser.parse_args()
    cases = [c for c in CASES if arguments.suite in (c.suite, "all") and arguments.only in c.name]
    if arguments.list:
        print("\n".join(f"{case.suite:<12} {case.name}" for case in cases))
        return
    if not cases:
        raise ValueError(
            f"No case matches. Received: --suite {arguments.suite} --only {arguments.only!r}"
        )
    if arguments.rounds < 1 or arguments.seconds < 0:
        raise ValueError(
            "There must be a round at least, and no negative time. "
            f"Received: --rounds {arguments.rounds} --seconds {arguments.seconds}"
        )
    if arguments.plot and not any(case.axis for case in cases):
        raise ValueError(f"--plot is for --suite growth. Received: --suite {arguments.suite}")
    rounds, seconds = (1, 0.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    about = report.machine()
    print(", ".join(f"{k} {v}" for k, v in about.items()))
    rows, started = [], time.monotonic()
    for case in cases:
        print(f"{case.name} ...", flush=True)
        rows.append(report.row(case, measure(case, rounds, seconds, arguments.quick)))
    print()
    print(report.table([r for r in rows if "axis" not in r] or rows))
    if any("axis" in r for r in rows):
        print()
        print(growth.table(rows))
    for line in report.notes(rows):
        print(line)
    print(f"{time.monotonic() - started:.0f} s in all")
    if arguments.json:
        content = {"machine": about, "quick": arguments.quick, "rows": rows}
        Path(arguments.json).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if arguments.plot:
        growth.plot([r for r in rows if "axis" in r], arguments.plot)


if __name__ == "__main__":
    run(main)
