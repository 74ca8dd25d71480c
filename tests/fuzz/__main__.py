"""`make fuzz`: coverage-guided fuzzing of everything that comes from outside, one line per target.

A find is an error that is not documented, an input that takes too long, memory that grows, or an honest
command that was not handled. Its input is kept under `corpus/`, where `make test` replays it for ever.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.targets import TARGETS

RUNS = 20_000
MEGABYTE = 1024 * 1024
HEADER = f"{'target':<12}{'inputs':>9}{'seconds':>9}{'inputs/s':>10}{'peak MB':>9}{'growth MB':>11}  finds"


def main() -> int:
    """Fuzz the targets that are named, or all; the number of finds."""
    options = _options()
    names = options.targets or list(TARGETS)
    shares = sum(TARGETS[name].share for name in names)
    print(HEADER, flush=True)
    total, found, began = 0, 0, time.perf_counter_ns()
    for name in names:
        report = fuzz(name, -(-options.runs * TARGETS[name].share // shares))
        show(name, report)
        total, found = total + report["inputs"], found + len(report["finds"])
    print(f"{total} inputs in {(time.perf_counter_ns() - began) / 60e9:.1f} min, {found} finds", flush=True)
    return min(found, 100)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="inputs in all, shared out by what one costs")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    options = parser.parse_args()
    for name in options.targets:
        if name not in TARGETS:
            parser.error(f"there is no target {name}; there is {', '.join(TARGETS)}")
    return options


def fuzz(name: str, runs: int) -> dict[str, Any]:
    """One target in a process of its own; what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.child", name, str(runs), folder]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        report = Path(folder) / "report.json"
        if ended.returncode == 0 and report.exists():
            read: dict[str, Any] = json.loads(report.read_text())
            return read
        return _broken(name, Path(folder), ended)


def _broken(name: str, folder: Path, ended: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """The report of a process that did not come to its end; the input that ended it is kept."""
    kept = {}
    for artifact in sorted(folder.glob("*-*")):
        suffix, text = TARGETS[name].file(artifact.read_bytes())
        file = Path(__file__).parent / "corpus" / name / f"find-{artifact.name[-10:]}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, newline="")
        kept[artifact.name.partition("-")[0]] = file.name
    last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
    finds = kept or {f"ended with {ended.returncode}: {last}": "-"}
    return {"inputs": 0, "seconds": 0.0, "peak": 0, "growth": 0, "finds": finds}


def show(name: str, report: dict[str, Any]) -> None:
    """The target's line, and one for each find."""
    seconds = report["seconds"]
    speed = report["inputs"] / seconds if seconds else 0
    print(
        f"{name:<12}{report['inputs']:>9}{seconds:>9.0f}{speed:>10.0f}{report['peak'] / MEGABYTE:>9.0f}"
        f"{report['growth'] / MEGABYTE:>11.1f}  {len(report['finds'])}",
        flush=True,
    )
    for what, file in report["finds"].items():
        print(f"    {what}  ({file})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
