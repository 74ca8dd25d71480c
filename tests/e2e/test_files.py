"""Files from the bot on a real homeserver: who is in the room can open them, the homeserver cannot."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from bot.kernel import clock
from bot.matrix.account import Account
from bot.matrix.errors import Rejected
from bot.matrix.session import Session
from bot.matrix.trust import Circle
from bot.matrix.wire import Malformed
from commands.alerts.cap import from_xml
from storage.attachments import attachments
from storage.transaction import Database
from tests.e2e.disk import Disk
from tests.e2e.world import world
from tests.test_cap import valid

PASSWORD = "a long password"
HEADLINE = "Vessel running dark near Walpole Island"


async def test_an_officer_opens_the_file_and_the_homeserver_holds_nothing_of_it(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        anna, nora = [await _client(homeserver, tmp_path, name, stack) for name in ("anna", "nora")]
        there = await stack.enter_async_context(world(homeserver, tmp_path, "files-tandem", anna.user_id))
        room = await anna.create_room("Detroit", there.bot.user_id, nora.user_id)
        for person in (there.bot.user_id, nora.user_id):
            await anna.see_joined(room, person)
        await anna.ask(room, "!room serve detroit ops", answer="I serve this room as detroit")
        await anna.ask(room, f"!member add {nora.user_id} RCMP liaison name=Nora", answer="is enrolled")
        await nora.say(room, f'!alert severe "{HEADLINE}"')
        raised = await nora.hear_text(room, f"A-1 SEVERE: {HEADLINE}", there.bot.user_id)
        told = await nora.ask(room, "!alert cap", reply_to=raised.event_id, answer="As a CAP 1.2 file")
        assert told.file is not None
        assert told.file["filename"] == "A-1.xml"
        raw = await nora.download(told)
        valid(raw)
        assert from_xml(raw).info[0].headline == HEADLINE
        async with there.database.transaction() as tx:
            count = select(func.count()).select_from(attachments)
            assert (await tx.connection.execute(count)).scalar_one() == 0
        with pytest.raises(Rejected, match="M_TOO_LARGE"):
            await nora.session.download(told.file, largest=len(raw) - 1)
        disk = Disk(homeserver.folder)
        assert told.file["url"].rpartition("/")[2][4:] in disk.names, "the search sees the folder of media"
        assert not disk.holds(HEADLINE)
        assert not disk.holds("urn:oasis:names:tc:emergency:cap:1.2")


async def test_a_file_that_is_not_there_or_lies_elsewhere_is_refused(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    user_id = await homeserver.register("files-boss", PASSWORD)
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'boss.db'}", clock.random_bytes)
    await database.create()
    await database.unlock(clock.random_bytes(32), clock.now())
    session = await Session.open(database, Account(homeserver.url, user_id, PASSWORD, "boss"), Circle())
    try:
        file = await session.upload(b"content")
        assert await session.download(file, largest=7) == b"content"
        with pytest.raises(Rejected, match="M_NOT_FOUND"):
            await session.download(file | {"url": f"{file['url']}x"}, largest=7)
        with pytest.raises(Malformed, match="mxc"):
            await session.download(file | {"url": "https://files.example/1"}, largest=7)
    finally:
        await session.close()
        await database.close()


async def _client(homeserver: EmbeddedHomeserver, folder: Path, name: str, stack: AsyncExitStack) -> Officer:
    await homeserver.register(f"files-{name}", PASSWORD)
    officer = await Officer.open(folder / name, homeserver.url, f"files-{name}", PASSWORD)
    return await stack.enter_async_context(officer)
