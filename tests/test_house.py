"""The house rules that no linter knows, and the arrows between the packages."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [
    file for part in ("bot", "commands", "storage", "tests") for file in sorted((ROOT / part).rglob("*.py"))
]
SOURCES = [file for file in FILES if "node_modules" not in file.parts]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FIRST_LINE = 100  # characters: a docstring's first line stays under this


def first_lines(file: Path) -> Iterator[str]:
    """The first line of each docstring."""
    for node in ast.walk(ast.parse(file.read_text())):
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text:
            yield text.splitlines()[0]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_docstring_begins_with_a_short_line(file: Path) -> None:
    assert [line for line in first_lines(file) if len(line) >= FIRST_LINE] == []


def test_the_arrows_between_the_packages_are_kept() -> None:
    """import-linter's contracts, as `make check` has them."""
    lint = Path(sys.executable).parent / "lint-imports"
    found = subprocess.run(
        [lint, "--no-cache"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
