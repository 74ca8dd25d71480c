"""Sealing: what was done is in the chain seconds later, and its end is known outside the database."""

from datetime import timedelta

from bot.kernel.vocabulary import Role
from bot.sealing import seal_all, sealing
from commands import CAPABILITIES
from storage.audit import verify
from storage.transaction import Database
from tests.story import Story


async def begun(database: Database) -> tuple[Story, str]:
    """A bot with its sealer, and a room where Anna, an admin, has given a command."""
    story = await Story.begin(database, (*CAPABILITIES, sealing))
    anna = await story.member("anna", Role.ADMIN)
    room = await story.room("watch", ["audit"], [anna])
    await anna.says(room, "!ping")
    return story, room


async def test_what_was_done_is_sealed_and_signed_seconds_later(database: Database) -> None:
    story, _ = await begun(database)
    assert (await verify(database.engine)).unsealed > 0
    await story.pass_time(seconds=5)
    verdict = await verify(database.engine)
    assert (verdict.unsealed, verdict.heads, verdict.fault) == (0, 1, None)


async def test_the_head_is_posted_once_a_day_where_it_is_kept(database: Database) -> None:
    story, room = await begun(database)
    other = await story.room("ops", ["ops"])
    await story.pass_time(minutes=5)
    posted = [said for said in story.said(room) if "audit verify --posted" in said]
    assert len(posted) == 1
    assert "tandem audit verify" not in "".join(story.said(other))
    await story.pass_time(hours=25, step=timedelta(hours=1))
    assert len([said for said in story.said(room) if "audit verify --posted" in said]) == 2


async def test_a_posted_head_shows_that_the_record_was_written_anew(database: Database) -> None:
    story, room = await begun(database)
    await story.pass_time(minutes=1)
    place, _, hash_ = story.said(room)[-1].split("--posted ")[1].partition(":")
    assert (await verify(database.engine, {int(place): bytes.fromhex(hash_)})).fault is None
    verdict = await verify(database.engine, {int(place): bytes(32)})
    assert verdict.fault is not None
    assert verdict.fault.seq == int(place)


async def test_the_last_act_of_a_process_is_to_seal_what_is_left(database: Database) -> None:
    story, _ = await begun(database)
    await seal_all(database, story.clock.now)
    assert (await verify(database.engine)).unsealed == 0
