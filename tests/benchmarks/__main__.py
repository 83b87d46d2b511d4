"""`python -m benchmarks`: measure, print a table, write var/bench/NAME.json."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import stack
from benchmarks import lag, lanes, memory, reader
from benchmarks.report import Report, machine, table, write
from common import logging
from stack.ledger import VAR

BENCHMARKS: dict[str, ModuleType] = {"reader": reader, "lanes": lanes, "lag": lag, "memory": memory}
SIZES = ("full", "quick", "smoke")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    described = "\n".join(f"  {name:<8}{module.ABOUT}" for name, module in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=f"Measures the speed of the connector, as ratios.\n\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this one; may be repeated")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="size", const="quick", help="smaller numbers")
    size.add_argument(
        "--smoke", action="store_const", dest="size", const="smoke", help="only see that it runs"
    )
    parser.add_argument("--into", type=Path, default=VAR / "bench", help="folder of the reports (var/bench)")
    parser.set_defaults(size="full")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0: measured, whatever came out."""
    options = arguments(argv)
    options.into.mkdir(parents=True, exist_ok=True)
    try:
        stack.odbc_environment()
        with (options.into / "log.jsonl").open("w") as log:
            logging.configure("benchmarks", "info", "json", log)  # what logs cost is part of the price
            told = {name: _run(name, options) for name in options.only or BENCHMARKS}
    except stack.Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    print(f"\n{' | '.join(f'{name}: {value}' for name, value in machine().items())}")
    for name, report in told.items():
        print(f"\n{name}: {report.about}\ngoal: {report.goal}\n\n{table(report)}")
    return 0


def _run(name: str, options: argparse.Namespace) -> Report:
    started = time.monotonic()
    module = BENCHMARKS[name]
    report: Report = module.run(module.SIZES[options.size], lambda text: print(f"{name}: {text}", flush=True))
    report.seconds = round(time.monotonic() - started, 1)
    path = write(report, options.size, options.into)
    print(f"{name}: {report.seconds} s, {path}", flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
