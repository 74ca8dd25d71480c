"""Pages: what `!more` goes on with, for one person, one room, or one person in one room."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, String, Table, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import EncryptedJson
from storage.schema import Instant, metadata, upsert

ANYONE = ""  # in place of a user id: whoever asks in that room
ANYWHERE = ""  # in place of a room id: the direct room, whose id was not known when the page was written

pages = Table(
    "pages",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("room_id", String, primary_key=True),
    Column("rest", EncryptedJson("pages.rest"), nullable=False),
    Column("about", String),
    Column("written_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Pages:
    """The pages not yet shown, each a plain body and its HTML; `about` is the object they are about."""

    user_id: str
    room_id: str
    rest: tuple[tuple[str, str], ...]
    about: str | None
    written_at: datetime


_PAGES = [pages.c[name] for name in Pages.__dataclass_fields__]


class PageStore:
    """Queries on pages, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, kept: Pages) -> None:
        """Keep pages in place of those kept for the same reader and room."""
        values = vars(kept) | {"rest": [list(page) for page in kept.rest]}
        statement = upsert(self._connection, pages).values(**values)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=[pages.c.user_id, pages.c.room_id], set_=values)
        )

    async def find(self, user_id: str, room_id: str, *, direct: bool) -> Pages | None:
        """The newest pages that this person may go on with here."""
        here = or_(
            (pages.c.user_id == user_id) & (pages.c.room_id == room_id),
            (pages.c.user_id == ANYONE) & (pages.c.room_id == room_id),
            (pages.c.user_id == user_id) & (pages.c.room_id == (ANYWHERE if direct else room_id)),
        )
        query = select(*_PAGES).where(here).order_by(pages.c.written_at.desc(), pages.c.user_id.desc())
        row = (await self._connection.execute(query.limit(1))).one_or_none()
        if row is None:
            return None
        return Pages(row[0], row[1], tuple((body, html) for body, html in row[2]), row[3], row[4])

    async def drop(self, kept: Pages) -> None:
        """Forget these."""
        gone = delete(pages).where(pages.c.user_id == kept.user_id, pages.c.room_id == kept.room_id)
        await self._connection.execute(gone)

    async def forget(self, before: datetime) -> None:
        """Forget what was written before this instant."""
        await self._connection.execute(delete(pages).where(pages.c.written_at < before))
