"""Migrations: the tables of each release, step by step; a kept database is brought to the newest one.

A new step: change the tables in code, then `make migration NAME=what_changes`, and read what it wrote.
Steps are additive, so that the release before can still run beside the new one.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, column, inspect, select, table, text

from storage.schema import metadata

FOLDER = Path(__file__).parent
LOCK = 8_261_027  # PostgreSQL's advisory locks are numbers; nothing else of ours takes this one

_version = table("alembic_version", column("version_num"))


class NewerDatabase(Exception):
    """The tables were made by a newer release, or not by a release at all."""


def revisions() -> list[str]:
    """The revisions that this release knows, oldest first: the numbers that the files begin with."""
    return sorted(path.name.partition("_")[0] for path in FOLDER.glob("versions/[0-9]*_*.py"))


def revision_of(connection: Connection) -> str | None:
    """The revision that this database is at; None if no migration was ever run on it."""
    if not inspect(connection).has_table(_version.name):
        return None
    found: str | None = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    return found


def upgrade(connection: Connection) -> tuple[str | None, str]:
    """Bring the database to the newest revision: the one before (None: empty) and the one after.

    When several processes start at once, one migrates and the others wait and find it done. NewerDatabase
    if a newer release has been here, or if tables are there that no release made.
    """
    newest = revisions()[-1]
    before = _checked_revision(connection)
    if before == newest:
        return before, newest
    if connection.dialect.name == "postgresql":  # SQLite's transactions already exclude one another
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        before = _checked_revision(connection)
    if before != newest:
        # Imported here since it is slow, and hardly any start needs it.
        from alembic import command

        command.upgrade(configuration(connection), "head")
    return before, newest


def configuration(connection: Connection) -> Any:
    """What Alembic's commands want to know, without a file of it."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _checked_revision(connection: Connection) -> str | None:
    known, found = revisions(), revision_of(connection)
    if found is None and (taken := sorted({*inspect(connection).get_table_names()} & {*metadata.tables})):
        raise NewerDatabase(f"its table {taken[0]!r} is not of a Tandem release: give an empty one")
    if found is not None and found not in known:
        raise NewerDatabase(
            f"the database is at revision {found}, this release knows up to {known[-1]}: run the newer one"
        )
    return found
