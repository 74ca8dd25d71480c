"""Agencies: code, names in both languages, country."""

from dataclasses import dataclass

from sqlalchemy import Column, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import metadata, upsert

agencies = Table(
    "agencies",
    metadata,
    Column("code", String, primary_key=True),
    Column("name_en", String, nullable=False),
    Column("name_fr", String, nullable=False),
    Column("country", String),
)


@dataclass(frozen=True)
class Agency:
    """An agency; `code` is upper case (`RCMP`), `country` CA, US or None."""

    code: str
    name_en: str
    name_fr: str
    country: str | None


_AGENCY = [agencies.c[name] for name in Agency.__dataclass_fields__]


class Agencies:
    """Queries on agencies, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, code: str) -> Agency | None:
        """The agency with this code, in any case."""
        query = select(*_AGENCY).where(agencies.c.code == code.upper())
        row = (await self._connection.execute(query)).one_or_none()
        return Agency(*row) if row else None

    async def all(self) -> list[Agency]:
        """Every agency, by code."""
        return [
            Agency(*row) for row in await self._connection.execute(select(*_AGENCY).order_by(agencies.c.code))
        ]

    async def add(self, agency: Agency) -> bool:
        """Add it; False if the code is taken."""
        statement = upsert(self._connection, agencies).values(**vars(agency)).on_conflict_do_nothing()
        return bool((await self._connection.execute(statement)).rowcount)
