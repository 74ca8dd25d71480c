"""Write the next step: what the tables in code have, and the steps so far do not make.

`python -m storage.migrations what_changes`, or `make migration NAME=what_changes`.
"""

import importlib
import pkgutil
import sys
from typing import Any

from alembic import command
from sqlalchemy import create_engine

import storage
from storage.migrations import configuration, revisions


def main(name: str) -> None:
    """Compare with an empty database that all the steps so far were run on, and write the difference."""
    for module in pkgutil.iter_modules(storage.__path__, "storage."):
        importlib.import_module(module.name)  # so that every table is declared
    number = f"{int(max(revisions(), default='0')) + 1:04}"
    with create_engine("sqlite://").begin() as connection:
        config = configuration(connection)
        if number != "0001":
            command.upgrade(config, "head")
        command.revision(
            config,
            name.replace("_", " ").capitalize(),
            autogenerate=True,
            rev_id=number,
            process_revision_directives=_not_empty,
        )


def _not_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    if directives[0].upgrade_ops.is_empty():
        sys.exit("nothing to write: the steps so far make the tables that are in the code")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m storage.migrations NAME, for example briefings")
    main(sys.argv[1])
