"""The bot and today's clients: matrix-js-sdk in each mode, through restarts and changes of keys."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from storage.audit import REFUSED
from tests.e2e.js_officer import JsOfficer, Mode, Seen
from tests.e2e.world import World, world

PASSWORD = "a long password"
MODES: tuple[Mode, ...] = ("all-devices", "only-signed-devices", "only-verified-users")


@dataclass
class Station:
    """A bot, its admin Anna, and one officer for each mode of matrix-js-sdk, all in one served room."""

    homeserver: EmbeddedHomeserver
    world: World
    anna: Officer
    officers: dict[Mode, JsOfficer]
    room: str

    @property
    def bot(self) -> str:
        """The bot's user id."""
        return self.world.bot.user_id

    async def asks(self, officer: JsOfficer, command: str, answer: str) -> Seen:
        """An officer says it; the bot's answer, which her client must show without a shield."""
        asked = await officer.send(self.room, command)
        [seen] = await officer.wait(self.room, reply_to=asked, sender=self.bot, contains=answer)
        assert (seen.encrypted, seen.failure, seen.shield_colour, seen.shield_reason) == (True, None, 0, None)
        return seen

    async def session(self) -> str:
        """The id of the session that the bot now encrypts with for the room."""
        async with self.world.database.transaction() as tx:
            session = await tx.crypto.outbound(self.room)
        assert session is not None
        return session.session_id

    async def device(self, name: str, mode: Mode, stack: AsyncExitStack) -> JsOfficer:
        """One more client; the account is made if it is new."""
        officer = await stack.enter_async_context(await JsOfficer.start())
        await self.homeserver.register(name, PASSWORD)
        await officer.login(self.homeserver.url, name, PASSWORD, mode)
        return officer


@pytest.fixture(scope="module")
async def station(
    homeserver: EmbeddedHomeserver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Station]:
    """Everybody is enrolled by command."""
    folder = tmp_path_factory.mktemp("station")
    async with AsyncExitStack() as stack:
        await homeserver.register("js-admin", PASSWORD)
        anna = await stack.enter_async_context(
            await Officer.open(folder / "anna", homeserver.url, "js-admin", PASSWORD)
        )
        there = await stack.enter_async_context(world(homeserver, folder, "js-tandem", anna.user_id))
        station = Station(homeserver, there, anna, {}, "")
        for mode in MODES:
            station.officers[mode] = await station.device(f"js-{mode}", mode, stack)
        people = [officer.user_id for officer in station.officers.values()]
        station.room = await anna.create_room("Station", station.bot, *people)
        for officer in station.officers.values():
            await officer.join(station.room)
        for person in (station.bot, *people):
            await anna.see_joined(station.room, person)
        await anna.ask(station.room, "!room serve station ops", answer="I serve this room as station")
        for person in people:
            await anna.ask(station.room, f"!member add {person} RCMP", answer="is enrolled for RCMP")
        strict = station.officers["only-verified-users"]
        await strict.begin_verification(station.bot, room=station.room)
        await strict.compare_verification(same=True)
        assert await strict.end_verification() == "done"
        yield station


@pytest.fixture(params=MODES)
def officer(station: Station, request: pytest.FixtureRequest) -> JsOfficer:
    """An officer whose client is in this mode."""
    return station.officers[request.param]


async def test_messages_go_both_ways_without_a_shield(station: Station, officer: JsOfficer) -> None:
    await station.asks(officer, "!ping", "pong")


async def test_a_session_that_is_followed_by_a_new_one_keeps_nobody_out(
    station: Station, officer: JsOfficer
) -> None:
    before = await station.session()
    async with AsyncExitStack() as stack:
        leaver = await station.device("js-leaver", "all-devices", stack)
        await station.anna.session.invite(station.room, leaver.user_id)
        await leaver.join(station.room)
        await station.asks(officer, "!ping", "pong")
        await leaver.leave(station.room)
        await station.anna.until(
            lambda: leaver.user_id not in station.anna.session.members(station.room), "the leave"
        )
        await station.asks(officer, "!ping", "pong")
    assert await station.session() != before


async def test_a_bot_that_was_started_anew_is_believed_and_believes(station: Station) -> None:
    device = station.world.bot.session.device_id
    await station.world.stop()
    asked = await station.officers["all-devices"].send(station.room, "!ping")
    await station.world.start()
    assert station.world.bot.session.device_id == device
    await station.officers["all-devices"].wait(station.room, reply_to=asked, contains="pong")
    for officer in station.officers.values():
        await station.asks(officer, "!ping", "pong")


async def test_messages_without_the_deprecated_keys_are_read(station: Station, officer: JsOfficer) -> None:
    await officer.spare(on=True)
    await station.asks(officer, "!ping", "pong")
    await officer.spare(on=False)


async def test_a_second_device_counts_once_its_owner_has_signed_it(
    station: Station, officer: JsOfficer
) -> None:
    name = officer.user_id[1:].partition(":")[0]
    async with AsyncExitStack() as stack:
        second = await station.device(name, "all-devices", stack)
        asked = await second.send(station.room, "!ping")
        [told] = await officer.wait(station.room, reply_to=asked, sender=station.bot)
        assert "from a device its owner has not verified" in told.body
        assert told.shield_colour == 0
        await officer.sign_device(second.device_id)
        again = await second.send(station.room, "!ping")
        for client in (second, officer):
            [seen] = await client.wait(station.room, reply_to=again, sender=station.bot)
            assert seen.body.startswith("pong")
            assert seen.shield_colour == 0
        unread = [each for each in await second.messages(station.room) if each.event_id == told.event_id]
        assert unread[0].failure is not None
        await second.logout_device()
    acts = [each for each in await station.world.acts_of(officer.user_id) if each.event_id == asked]
    assert [(each.outcome, each.reason_code) for each in acts] == [(REFUSED, "unverified_device")]


async def test_an_identity_that_is_made_anew_is_refused_and_the_admin_is_told(station: Station) -> None:
    async with AsyncExitStack() as stack:
        iris = await station.device("js-iris", "all-devices", stack)
        await station.anna.session.invite(station.room, iris.user_id)
        await iris.join(station.room)
        await station.anna.see_joined(station.room, iris.user_id)
        await station.anna.ask(station.room, f"!member add {iris.user_id} RCMP", answer="is enrolled")
        await station.asks(iris, "!ping", "pong")
        await iris.reset_identity()
        asked = await iris.send(station.room, "!ping")
        told = await station.anna.hear(
            lambda heard: f"{iris.user_id} has another identity" in heard.body, "to be told"
        )
        assert told.room_id != station.room
        said = await station.anna.answer(asked, "Your identity is not the one that was enrolled")
        unread = [each for each in await iris.messages(station.room) if each.event_id == said.event_id]
        assert all(each.failure is not None for each in unread)
        await station.anna.ask(station.room, "!ping", answer="pong")
    acts = [each for each in await station.world.acts_of(iris.user_id) if each.event_id == asked]
    assert [(each.outcome, each.reason_code) for each in acts] == [(REFUSED, "identity_changed")]
