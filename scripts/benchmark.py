"""Times this package beside others on this machine and prints a table.

Each side of a case runs in a process of its own, and the two take turns. Example:

    python scripts/benchmark.py --suite cpu --json benchmark.json
"""

import argparse
import json
from pathlib import Path

from _benchmark import report
from _benchmark.cases import CASES, SUITES
from _benchmark.harness import measure
from _common import run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="cpu")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has this text")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default: 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn (default: 5)")
    parser.add_argument("--quick", action="store_true", help="tiny forms, to see that they run")
    parser.add_argument("--json", metavar="FILE", help="also write the results there")
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
    rounds, seconds = (1, 0.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    about = report.machine()
    print(", ".join(f"{k} {v}" for k, v in about.items()))
    rows = []
    for case in cases:
        print(f"{case.name} ...", flush=True)
        rows.append(report.row(case, measure(case, rounds, seconds, arguments.quick)))
    print()
    print(report.table(rows))
    for line in report.notes(rows):
        print(line)
    if arguments.json:
        content = {"machine": about, "quick": arguments.quick, "rows": rows}
        Path(arguments.json).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
