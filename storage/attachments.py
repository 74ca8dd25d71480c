"""Attachments: the bytes of a file that goes with a message of the outbox, until it is in its room."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Integer, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import EncryptedBytes, EncryptedJson
from storage.schema import metadata

attachments = Table(
    "attachments",
    metadata,
    Column("owed", Integer, primary_key=True, autoincrement=False),
    Column("content", EncryptedBytes("attachments.content"), nullable=False),
    Column("file", EncryptedJson("attachments.file")),
)


@dataclass(frozen=True)
class Attached:
    """The file of a message: what is in it, and where it is once it was uploaded (with its key)."""

    content: bytes
    file: dict[str, Any] | None


class Attachments:
    """Queries on attachments, within one transaction; `owed` is the id of the message's outbox row."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, owed: int, content: bytes) -> None:
        """Keep the file of a message that is owed."""
        await self._connection.execute(attachments.insert().values(owed=owed, content=content))

    async def find(self, owed: int) -> Attached | None:
        """The file of a message; None if it has none, or none any more."""
        query = select(attachments.c.content, attachments.c.file).where(attachments.c.owed == owed)
        row = (await self._connection.execute(query)).one_or_none()
        return Attached(*row) if row else None

    async def mark_uploaded(self, owed: int, file: dict[str, Any]) -> None:
        """It is there now: every later attempt names this one."""
        await self._connection.execute(
            update(attachments).where(attachments.c.owed == owed).values(file=file)
        )

    async def remove(self, owed: int) -> None:
        """The message was sent or never will be: its file need not be kept."""
        await self._connection.execute(delete(attachments).where(attachments.c.owed == owed))
