"""One target in a process of its own, under atheris: `python -m tests.fuzz.child TARGET RUNS FOLDER`."""

import hashlib
import json
import logging
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bot", "commands"]):
    from tests.fuzz.targets import CORPUS, SECONDS, TARGETS, Target, kept

HANG = 60  # seconds after which an input that does not end is ended
GROWTH = 96 * 1024 * 1024  # bytes; the fuzzer's own corpus and its coverage stay far below
EVERY = 256  # inputs between two looks at the memory
STATM = Path("/proc/self/statm")


def memory() -> int:
    """Bytes of this process that are in memory now; at most ever, where only that is to be had."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Probe:
    """Counts inputs, and keeps each new kind of find."""

    def __init__(self, name: str, runs: int, folder: Path) -> None:
        self._name, self._runs, self._folder = name, runs, folder
        self._target: Target = TARGETS[name]
        self._count = self._settled = self._peak = 0
        self._finds: dict[str, str] = {}
        self._began = time.perf_counter_ns()

    def __call__(self, raw: bytes) -> None:
        """One input."""
        self._count += 1
        before = time.process_time()
        try:
            self._target.run(raw)
        except BaseException as error:  # also what panics inside an extension
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._found(_place(error), raw)
        if time.process_time() - before > SECONDS:
            self._found(f"slow: {len(raw)} bytes", raw)
        if self._count % EVERY == 0 or self._count >= self._runs:
            self._weigh()
        if self._count >= self._runs:
            self._end()

    def _found(self, what: str, raw: bytes) -> None:
        if what.split(": ")[0] in {each.split(": ")[0] for each in self._finds}:
            return
        suffix, text = self._target.file(raw)
        file = CORPUS / self._name / f"find-{hashlib.sha256(raw).hexdigest()[:10]}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, newline="")
        self._finds[what] = file.name

    def _weigh(self) -> None:
        now = memory()
        self._peak = max(self._peak, now)
        if self._settled == 0 and self._count >= self._runs // 4:
            self._settled = now
        if self._settled and now - self._settled > GROWTH:
            self._finds["memory: it grows with each input"] = "-"

    def _end(self) -> None:
        report = {
            "inputs": self._count,
            "seconds": (time.perf_counter_ns() - self._began) / 1e9,
            "peak": self._peak,
            "growth": max(0, memory() - self._settled),
            "finds": self._finds,
        }
        (self._folder / "report.json").write_text(json.dumps(report))
        os._exit(0)  # the fuzzer itself never returns


def _place(error: BaseException) -> str:
    """Which error, and where it came from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:120]}"


def prepare(name: str, folder: Path) -> list[str]:
    """Write down seeds and words; the options of the fuzzer."""
    target, seeds, own = TARGETS[name], folder / "seeds", folder / "own"
    seeds.mkdir()
    own.mkdir()
    for number, raw in enumerate((*target.seeds, *kept(name).values())):
        (seeds / f"{number}").write_bytes(raw)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(each)}"\n' for each in target.words))
    longest = max(target.longest, *(file.stat().st_size for file in seeds.iterdir()))
    options = [f"-max_len={longest}", f"-timeout={HANG}", "-rss_limit_mb=2048", "-verbosity=0"]
    options += [f"-dict={words}"] if target.words else []
    return [*options, f"-artifact_prefix={folder}/", str(own), str(seeds)]


def _escaped(word: str) -> str:
    return "".join(f"\\x{each:02x}" for each in word.encode())


def main(name: str, runs: int, folder: Path, setup: Callable[..., object] = atheris.Setup) -> None:
    """Fuzz until there were so many inputs."""
    logging.disable(logging.CRITICAL)
    setup([sys.argv[0], *prepare(name, folder)], Probe(name, runs, folder))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
