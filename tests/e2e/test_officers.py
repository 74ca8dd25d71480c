"""Officers of several agencies with real clients: what they say takes effect, and nobody else's."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from bot.kernel.words import grouped
from storage.audit import REFUSED
from storage.inbox import inbox
from storage.outbox import outbox
from tests.e2e.disk import Disk, lines_of, texts_of
from tests.e2e.js_officer import JsOfficer
from tests.e2e.world import World, world

PASSWORD = "a long password"


@dataclass
class Team:
    """A bot, its people and its two rooms: Anna of the RCMP, Marc of CBP, Luc and Nora of the SQ.

    Marc's client is matrix-js-sdk and excludes insecure devices; Luc works in French, Nora supervises him.
    """

    world: World
    anna: Officer
    marc: JsOfficer
    luc: Officer
    nora: Officer
    detroit: str
    champlain: str

    @property
    def bot(self) -> str:
        """The bot's user id."""
        return self.world.bot.user_id

    async def told_in_the_clear(self) -> str:
        """What the bot says, once, in a room that is not encrypted, before it leaves it."""
        room = await self.marc.create_room("In the clear", [self.anna.user_id, self.bot], encrypted=False)
        [told] = await self.marc.wait(room, contains="encrypted", sender=self.bot)
        assert not told.encrypted
        await self.anna.see_joined(room, self.anna.user_id)
        await self.anna.until(
            lambda: self.bot not in self.anna.session.members(room), "the bot to leave the plain room"
        )
        said = [seen for seen in await self.marc.messages(room) if seen.type == "m.room.message"]
        assert said == [told]
        return told.body

    async def all_that_was_said(self) -> list[str]:
        """By whomever, wherever: what the bot took in and what it owed, and what each client shows."""
        async with self.world.database.transaction() as tx:
            kept = [
                content
                for table in (inbox, outbox)
                for (content,) in await tx.connection.execute(select(table.c.content))
            ]
        shown = [heard for each in (self.anna, self.luc, self.nora) for heard in each.conversations.all()]
        seen = [seen for room in (self.detroit, self.champlain) for seen in await self.marc.messages(room)]
        texts = [text for content in kept for text in texts_of(content)]
        texts += [heard.body for heard in shown] + [heard.html or "" for heard in shown]
        return texts + [each.body for each in seen]


@pytest.fixture(scope="module")
async def team(
    homeserver: EmbeddedHomeserver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Team]:
    """Everybody is enrolled, and both rooms are served: by commands, as an admin does it."""
    folder = tmp_path_factory.mktemp("officers")

    async def client(name: str) -> Officer:
        await homeserver.register(f"team-{name}", PASSWORD)
        return await stack.enter_async_context(
            await Officer.open(folder / name, homeserver.url, f"team-{name}", PASSWORD)
        )

    async with AsyncExitStack() as stack:
        anna, luc, nora = [await client(name) for name in ("anna", "luc", "nora")]
        await homeserver.register("team-marc", PASSWORD)
        marc = await stack.enter_async_context(await JsOfficer.start())
        await marc.login(homeserver.url, "team-marc", PASSWORD, "only-signed-devices")
        there = await stack.enter_async_context(world(homeserver, folder, "team-tandem", anna.user_id))
        detroit = await anna.create_room("Detroit", there.bot.user_id, marc.user_id)
        champlain = await anna.create_room("Champlain", there.bot.user_id, luc.user_id, nora.user_id)
        await marc.join(detroit)
        for room, *people in ((detroit, marc.user_id), (champlain, luc.user_id, nora.user_id)):
            for person in (there.bot.user_id, *people):
                await anna.see_joined(room, person)
        for room, command, answer in (
            (detroit, "!room serve detroit ops", "I serve this room as detroit"),
            (detroit, '!agency add CBP "Customs and Border Protection"', "CBP is on the list"),
            (detroit, '!agency add SQ "Sûreté du Québec"', "SQ is on the list"),
            (
                detroit,
                f"!member add {marc.user_id} CBP supervisor name=Marc",
                "is enrolled for CBP as supervisor",
            ),
            (detroit, f"!member add {luc.user_id} SQ name=Luc lang=fr", "is enrolled for SQ as officer"),
            (
                detroit,
                f"!member add {nora.user_id} SQ supervisor name=Nora",
                "is enrolled for SQ as supervisor",
            ),
            (champlain, "!room serve champlain ops", "I serve this room as champlain"),
        ):
            await anna.ask(room, command, answer=answer)
        yield Team(there, anna, marc, luc, nora, detroit, champlain)


async def test_who_enrols_somebody_gets_the_fingerprint_to_compare(team: Team) -> None:
    shown = await team.anna.hear_text(team.detroit, f"Marc ({team.marc.user_id}) is enrolled", team.bot)
    async with team.world.database.transaction() as tx:
        marc = await tx.members.find(team.marc.user_id)
    assert grouped((marc and marc.master_key) or "?") in shown.body


async def test_somebody_who_shares_no_room_with_the_bot_is_seen_too(
    team: Team, homeserver: EmbeddedHomeserver
) -> None:
    await homeserver.register("team-afar", PASSWORD)
    async with await JsOfficer.start() as afar:
        await afar.login(homeserver.url, "team-afar", PASSWORD, "only-signed-devices")
        await team.anna.ask(team.detroit, f"!member add {afar.user_id} CBP", answer="We share no room yet")
        shown = await team.anna.hear_text(team.detroit, f"shows me {afar.user_id}", team.bot)
    async with team.world.database.transaction() as tx:
        member = await tx.members.find(afar.user_id)
    assert grouped((member and member.master_key) or "?") in shown.body


async def test_an_alert_reaches_two_rooms_and_is_answered_by_two_agencies_in_two_languages(
    team: Team,
) -> None:
    raised = await team.anna.ask(
        team.detroit, '!alert severe "Bridge closed" to=ops', answer="Asked: CBP, SQ."
    )
    ref = raised.body.split()[0]
    [card] = await team.marc.wait(team.detroit, contains=f"🔴 {ref} SEVERE: Bridge", sender=team.bot)
    assert (card.encrypted, card.failure, card.shield_colour, card.shield_reason) == (True, None, 0, None)
    assert team.marc.user_id in card.content["m.mentions"]["user_ids"]
    acked = await team.marc.send(team.detroit, "!ack", reply_to=card.event_id)
    [answer] = await team.marc.wait(team.detroit, reply_to=acked, sender=team.bot)
    assert answer.body == f"{ref}: your answer is on record: CBP ✔ ack. Still silent: SQ."
    assert (answer.content["msgtype"], answer.shield_colour) == ("m.notice", 0)
    assert (await team.luc.hear_text(team.champlain, "Bridge closed", team.bot)).rings(team.luc.user_id)
    await team.luc.ask(team.champlain, f"!accuser {ref}", answer=f"{ref} : votre réponse est consignée")
    for officer, room in ((team.anna, team.detroit), (team.luc, team.champlain)):
        board = await officer.hear_text(room, "Every agency asked has answered.", team.bot)
        assert "CBP ✔ ack · Marc" in board.body
        assert "SQ ✔ ack · Luc" in board.body


async def test_silence_climbs_to_the_supervisor_in_a_direct_encrypted_message(team: Team) -> None:
    await team.anna.ask(team.champlain, '!alert severe "Vessel adrift" in=10m', answer="Vessel adrift")
    team.world.pass_time(timedelta(minutes=10))
    again = await team.luc.hear_text(team.champlain, "No answer yet from SQ.", team.bot)
    assert again.rings(team.luc.user_id)
    team.world.pass_time(timedelta(minutes=5))
    told = await team.nora.hear(
        lambda heard: "Vessel adrift" in heard.body and "You are its supervisor." in heard.body,
        "to be told as the supervisor",
    )
    assert told.room_id not in (team.detroit, team.champlain)
    assert told.rings(team.nora.user_id)
    answer = await team.nora.ask(told.room_id, "!ack help", told.event_id)
    assert "SQ ✔ needs HELP" in answer.body


async def test_a_room_in_the_clear_is_told_so_once_and_left(team: Team) -> None:
    await team.told_in_the_clear()


async def test_who_is_not_enrolled_gets_silence_and_is_on_record(
    team: Team, homeserver: EmbeddedHomeserver
) -> None:
    await homeserver.register("team-eve", PASSWORD)
    async with await JsOfficer.start() as eve:
        await eve.login(homeserver.url, "team-eve", PASSWORD, "all-devices")
        room = await team.anna.create_room("With a stranger", team.bot, eve.user_id)
        await eve.join(room)
        await team.anna.see_joined(room, team.bot)
        await team.anna.see_joined(room, eve.user_id)
        await team.anna.ask(room, "!room serve stranger", answer=eve.user_id)
        asked = await eve.send(room, "!whoami")
        # Answered after it, so if there were an answer to Eve, it would be there by then.
        await team.anna.ask(room, "!ping", answer="pong")
        assert all(heard.reply_to != asked for heard in team.anna.heard(room))
        assert all(
            seen.failure is not None
            for seen in await eve.messages(room)
            if seen.sender == team.bot and seen.encrypted
        )
    [refusal] = [entry for entry in await team.world.acts_of(eve.user_id) if entry.event_id == asked]
    assert (refusal.outcome, refusal.reason_code) == (REFUSED, "not_enrolled")


async def test_the_homeserver_keeps_nothing_of_what_was_said(
    team: Team, homeserver: EmbeddedHomeserver
) -> None:
    raised = await team.anna.ask(
        team.detroit, '!alert minor "Zwiebelturm unbewacht – Ölspur"', answer="Zwiebelturm"
    )
    await team.luc.say(team.champlain, "!zwiebelkuchen")
    direct = await team.luc.hear(lambda heard: "« zwiebelkuchen »" in heard.body, "a direct message")
    await team.luc.ask(direct.room_id, "!alerte qui A-99", answer="A-99")
    in_the_clear = await team.told_in_the_clear()
    lines = lines_of(await team.all_that_was_said())
    # The run is in it: what officers typed and what they were told, in rooms and in direct rooms.
    for part in (
        "!alert minor",
        "!zwiebelkuchen",
        "!alerte qui",
        "!room serve detroit",
        "!member add @team-",
    ):
        assert any(line.startswith(part) for line in lines), part
    for part in ("Zwiebelturm unbewacht", "I serve this room as detroit", "« zwiebelkuchen »"):
        assert any(part in line for line in lines), part
    disk = Disk(homeserver.folder)
    assert {"homeserver.db", "homeserver.db-wal"} <= disk.names
    assert disk.holds(raised.event_id)
    assert all(disk.holds(line) for line in lines_of([in_the_clear])), "the search finds what is there"
    assert [line for line in sorted(lines) if disk.holds(line)] == []
