"""A whole bot on the homeserver of the tests, in this process, with a clock that a test can turn."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.app import Bot, running
from bot.config import DATABASE_URL, MASTER_KEY, PASSWORD, MatrixSettings, MembersSettings, Settings
from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from bot.matrix.session import PATIENCE
from storage.audit import Entry, audit
from storage.transaction import Database


@dataclass
class World:
    """The running bot; `database` is its own, opened a second time."""

    bot: Bot
    database: Database
    settings: Settings
    ahead: timedelta = timedelta()
    patience: timedelta = PATIENCE
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Start the bot, as the device that it was before."""
        self.bot = await self._running.enter_async_context(
            running(self.settings, self._now, patience=self.patience)
        )

    async def stop(self) -> None:
        """Stop the bot in order; its database stays."""
        await self._running.aclose()

    def _now(self) -> datetime:
        return clock.now() + self.ahead

    def pass_time(self, span: timedelta) -> None:
        """Turn the bot's clock on."""
        self.ahead += span

    async def acts_of(self, user_id: str) -> list[Entry]:
        """What the audit record holds of a person, oldest first."""
        columns = [audit.c[name] for name in Entry.__dataclass_fields__]
        query = select(*columns).where(audit.c.actor == user_id).order_by(audit.c.id)
        async with self.database.transaction() as tx:
            return [Entry(*row) for row in await tx.connection.execute(query)]


@asynccontextmanager
async def world(
    homeserver: EmbeddedHomeserver, folder: Path, localpart: str, admin: str, patience: timedelta = PATIENCE
) -> AsyncIterator[World]:
    """A bot of the RCMP with one admin, on a database in `folder`."""
    master_key, password = clock.random_bytes(32), clock.token()
    user_id = await homeserver.register(localpart, password)
    url = f"sqlite+aiosqlite:///{folder / 'tandem.db'}"
    settings = Settings(
        folder,
        matrix=MatrixSettings(homeserver.url, user_id),
        members=MembersSettings(admins=(admin,), agency="RCMP", agency_name="Royal Canadian Mounted Police"),
        environ={
            MASTER_KEY[0]: base64.b64encode(master_key).decode(),
            PASSWORD[0]: password,
            DATABASE_URL[0]: url,
        },
    )
    database = Database(url, clock.random_bytes)

    bot: Any = None  # `start` sets it
    made = World(bot, database, settings, patience=patience)
    try:
        await made.start()
        await database.unlock(master_key, clock.now())
        yield made
    finally:
        await made.stop()
        await database.close()
