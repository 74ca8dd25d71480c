"""`tandem check`: the doctor's findings, a line each."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bot import doctor
from bot.config import load
from bot.doctor import Finding, Rating
from bot.toml_file import ConfigError

_STYLES = {Rating.OK: "green", Rating.WARN: "yellow", Rating.FAIL: "bold red"}


def run_check(config: Path, *, as_json: bool) -> int:
    """Examine and report; the exit code is 0 unless something failed."""
    try:
        findings = asyncio.run(doctor.examine(load(config)))
    except ConfigError as error:
        findings = [doctor.fail("configuration", str(error), f"edit {config}, then check again")]
    failed = any(each.rating is Rating.FAIL for each in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(each) for each in findings]}, indent=2))
    else:
        _show(findings)
    return 1 if failed else 0


def _show(findings: Sequence[Finding]) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for each in findings:
        mark = (f"{each.rating.value:<5}", _STYLES[each.rating])
        mend = f" → {each.mend}" if each.mend else ""
        console.print(Text.assemble(mark, (each.name, "bold"), f": {each.said}{mend}"))
    bad = [sum(each.rating is rating for each in findings) for rating in (Rating.FAIL, Rating.WARN)]
    console.print(f"{bad[0]} failed, {bad[1]} to look at." if any(bad) else "All well.")
