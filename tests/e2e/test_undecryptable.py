"""An event whose key does not come: the whole bot tells its sender, once a day, and goes on."""

from datetime import timedelta
from pathlib import Path

from bot.demo.conversation import Heard
from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from bot.matrix.session import PATIENCE
from tests.e2e.hostile import Hostile
from tests.e2e.world import world

PASSWORD = "a long password"


def test_a_key_has_half_a_minute_to_come() -> None:
    assert timedelta(seconds=30) == PATIENCE


async def test_an_event_without_its_key_gives_its_sender_one_notice_a_day(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    anna_id = await homeserver.register("late-anna", PASSWORD)
    otto_id = await homeserver.register("late-otto", PASSWORD)
    async with (
        await Officer.open(tmp_path / "anna", homeserver.url, "late-anna", PASSWORD) as anna,
        world(homeserver, tmp_path, "late-tandem", anna_id, timedelta(seconds=1)) as there,
        await Hostile.open(homeserver.url, otto_id, PASSWORD) as otto,
    ):
        room = await anna.create_room("Late", there.bot.user_id)
        await anna.see_joined(room, there.bot.user_id)
        await anna.ask(room, "!room serve late", answer="I serve this room as late")
        await anna.ask(room, f"!member add {otto_id} RCMP", answer="is enrolled")
        await anna.session.invite(room, otto_id)
        await otto.join(room)

        async def says_what_cannot_be_read(so_far: int) -> str:
            """Otto keeps the key to himself; the event's id, once the bot has given up on it."""
            event_id = await otto.send(room, otto.message(room, "!ping"))
            refused = 0
            while refused < so_far:
                await anna.ask(room, "!ping", answer="pong")
                acts = await there.acts_of(otto_id)
                refused = [entry.reason_code for entry in acts].count("undecryptable")
            return event_id

        def notices() -> list[Heard]:
            return [heard for heard in anna.heard(room) if "could not decrypt" in heard.body]

        first = await says_what_cannot_be_read(1)
        told = await anna.answer(first, "could not decrypt")
        assert (told.sender, notices()) == (there.bot.user_id, [told])
        await says_what_cannot_be_read(2)
        # Messages of a room come in order: another notice would be there before this answer.
        await anna.ask(room, "!ping", answer="pong")
        assert notices() == [told]
        there.pass_time(timedelta(days=1))
        third = await says_what_cannot_be_read(3)
        await anna.answer(third, "could not decrypt")
