"""Verification by emoji between the bot and matrix-js-sdk: in rooms, by device, from either side."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from bot.kernel import clock
from storage.audit import OK, REFUSED
from storage.members import VERIFIED
from tests.e2e.js_officer import JsOfficer
from tests.e2e.world import World, world

PASSWORD = "a long password"


@dataclass
class Pair:
    """A bot, its admin Anna, and Vera with matrix-js-sdk, in one served room."""

    world: World
    anna: Officer
    vera: JsOfficer
    room: str

    @property
    def bot(self) -> str:
        """The bot's user id."""
        return self.world.bot.user_id

    async def shows(self, emoji: str, after: str | None = None) -> None:
        """The bot shows the same emoji as Vera's client, and has nothing on record yet."""
        [card] = await self.vera.wait(
            self.room, after=after, contains="I show these seven emoji", sender=self.bot
        )
        assert emoji in card.body
        assert (card.encrypted, card.shield_colour) == (True, 0)
        assert await self.how() != VERIFIED

    async def says(self, command: str, answer: str) -> str:
        """Vera says it; the bot's answer."""
        asked = await self.vera.send(self.room, command)
        [said] = await self.vera.wait(self.room, reply_to=asked, contains=answer, sender=self.bot)
        return said.event_id

    async def how(self) -> str | None:
        """How Vera's identity came to be pinned."""
        async with self.world.database.transaction() as tx:
            member = await tx.members.find(self.vera.user_id)
        assert member is not None
        return member.pinned_how

    async def record(self) -> list[tuple[str, str | None]]:
        """How Vera's verifications ended."""
        acts = await self.world.acts_of(self.vera.user_id)
        return [(each.outcome, each.reason_code) for each in acts if each.action == "identity.verify"]


@pytest.fixture
async def pair(homeserver: EmbeddedHomeserver, tmp_path: Path) -> AsyncIterator[Pair]:
    """Vera is enrolled, and nobody has verified anybody."""
    tag = clock.token(6).lower().replace("_", ".")
    async with AsyncExitStack() as stack:
        for name in ("anna", "vera"):
            await homeserver.register(f"v-{name}-{tag}", PASSWORD)
        anna = await stack.enter_async_context(
            await Officer.open(tmp_path / "anna", homeserver.url, f"v-anna-{tag}", PASSWORD)
        )
        vera = await stack.enter_async_context(await JsOfficer.start())
        await vera.login(homeserver.url, f"v-vera-{tag}", PASSWORD, "all-devices")
        there = await stack.enter_async_context(world(homeserver, tmp_path, f"v-bot-{tag}", anna.user_id))
        room = await anna.create_room("Pair", there.bot.user_id, vera.user_id)
        await vera.join(room)
        for person in (there.bot.user_id, vera.user_id):
            await anna.see_joined(room, person)
        await anna.ask(room, "!room serve pair ops", answer="I serve this room as pair")
        await anna.ask(room, f"!member add {vera.user_id} RCMP", answer="is enrolled for RCMP")
        yield Pair(there, anna, vera, room)


async def test_a_verification_that_the_officer_s_client_begins_in_a_direct_room(pair: Pair) -> None:
    """Her client gives keys to verified people only: what she says is read once it has verified the bot.

    As an officer she may invite the bot to no other room.
    """
    await pair.vera.isolate("only-verified-users")
    pair.room = await pair.vera.create_room("Verify", [pair.bot], direct=True)
    await pair.vera.wait(pair.room, contains="Hello", sender=pair.bot)
    emoji = await pair.vera.begin_verification(pair.bot, room=pair.room)
    await pair.shows(emoji)
    await pair.vera.compare_verification(same=True)
    assert await pair.vera.end_verification() == "done"
    assert await pair.how() != VERIFIED, "her client's word is not hers"
    await pair.says("!verify yes", "Noted")
    await pair.vera.wait(pair.room, contains="your client and I know each other", sender=pair.bot)
    assert await pair.how() == VERIFIED
    assert await pair.record() == [(OK, None)]
    assert await pair.vera.knows(pair.bot)
    await pair.says("!ping", "pong")
    await pair.world.stop()
    await pair.world.start()
    await pair.says("!ping", "pong")


async def test_a_verification_that_the_officer_asks_for_by_command(pair: Pair) -> None:
    asked = await pair.says("!verify", "I have asked your client")
    emoji = await pair.vera.accept_verification()
    await pair.shows(emoji, asked)
    await pair.says("!verify yes", "Noted")
    await pair.vera.compare_verification(same=True)
    assert await pair.vera.end_verification() == "done"
    await pair.vera.wait(pair.room, contains="your client and I know each other", sender=pair.bot)
    assert await pair.how() == VERIFIED
    await pair.says(f"!member show {pair.vera.user_id}", "pinned and verified by emoji")


async def test_emoji_that_differ_end_it_whoever_says_so(pair: Pair) -> None:
    asked = await pair.says("!verify", "I have asked your client")
    await pair.shows(await pair.vera.accept_verification(), asked)
    said = await pair.says("!verify no", "Somebody may stand between us")
    assert await pair.vera.end_verification() == "m.mismatched_sas"
    await pair.vera.wait(pair.room, after=said, contains="The emoji differ", sender=pair.bot)
    await pair.shows(await pair.vera.begin_verification(pair.bot, room=pair.room), said)
    await pair.vera.compare_verification(same=False)
    assert await pair.vera.end_verification() == "m.mismatched_sas"
    await pair.vera.wait(pair.room, after=said, contains="The emoji differ", sender=pair.bot)
    await pair.says("!verify yes", "There is nothing to compare yet")
    assert await pair.how() != VERIFIED
    assert await pair.record() == [(REFUSED, "m.mismatched_sas")] * 2
    assert not await pair.vera.knows(pair.bot)


async def test_a_verification_between_devices_is_shown_in_a_direct_message(pair: Pair) -> None:
    device = pair.world.bot.session.device_id
    emoji = await pair.vera.begin_verification(pair.bot, device=device)
    direct = await pair.vera.invited_by(pair.bot)
    await pair.vera.join(direct)
    [card] = await pair.vera.wait(direct, contains="I show these seven emoji", sender=pair.bot)
    assert emoji in card.body
    await pair.vera.compare_verification(same=True)
    await pair.says("!verify yes", "Noted")
    assert await pair.vera.end_verification() == "done"
    await pair.vera.wait(direct, contains="your client and I know each other", sender=pair.bot)
    assert await pair.how() == VERIFIED


async def test_a_bot_that_is_started_anew_in_the_middle_says_so(pair: Pair) -> None:
    await pair.shows(await pair.vera.begin_verification(pair.bot, room=pair.room))
    await pair.world.stop()
    await pair.world.start()
    assert await pair.vera.end_verification() == "m.user"
    await pair.vera.wait(pair.room, contains="I was restarted in the middle", sender=pair.bot)
    await pair.says("!verify yes", "There is nothing to compare yet")
    assert await pair.how() != VERIFIED
