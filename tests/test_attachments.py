"""Attachments: encrypted, uploaded once, sent with their message, kept until then and no longer."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from nio.crypto.attachments import decrypt_attachment, encrypt_attachment  # type: ignore[import-untyped]
from sqlalchemy import func, select, text

from bot.kernel.card import card
from bot.kernel.errors import DeliveryRefused
from bot.kernel.language import t
from bot.kernel.vocabulary import LARGEST_ATTACHMENT, Attachment, Call, Capability, Example, Post, Said
from bot.matrix.attachments import seal, unseal
from bot.matrix.canonical import encode64
from bot.matrix.wire import Malformed
from storage.attachments import attachments
from storage.outbox import FAILED, outbox
from storage.transaction import Database
from tests.fakes import unreachable
from tests.story import Officer, Story

REPORT = Attachment("report.csv", "text/csv", b"agency,answered\nRCMP,yes\n")

files = Capability("files")


@files.command("report", role=None, examples=[Example("!report", answers="The report")])
async def report(call: Call) -> Said:
    """A file."""
    return Post(card(t("The report.")), about="A-1", attachment=REPORT)


@pytest.fixture
async def story(database: Database) -> Story:
    return await Story.begin(database, [files])


async def kept(story: Story) -> int:
    """How many files the database holds."""
    async with story.database.transaction() as tx:
        return int((await tx.connection.execute(select(func.count()).select_from(attachments))).scalar_one())


async def asked(story: Story) -> tuple[Officer, str]:
    anna = await story.member("anna")
    return anna, await story.room("ops", members=[anna])


async def test_a_file_is_sent_with_its_caption_as_an_answer(story: Story) -> None:
    anna, room = await asked(story)
    said = await anna.says(room, "!report")
    [sent] = story.messenger.in_room(room)
    assert said == "The report."
    assert said.file == REPORT.content
    assert said.reply_to == story.last_event
    assert sent.content["msgtype"] == "m.file"
    assert sent.content["filename"] == "report.csv"
    assert sent.content["info"] == {"mimetype": "text/csv", "size": len(REPORT.content)}
    assert "url" not in sent.content
    assert await kept(story) == 0


async def test_a_file_is_uploaded_once_however_often_its_message_is_tried(story: Story) -> None:
    anna, room = await asked(story)
    refuse = [unreachable, unreachable]

    def fails(where: str, txn_id: str) -> None:
        if where == room and refuse:
            refuse.pop()(where, txn_id)

    story.messenger.fails = fails
    await anna.says(room, "!report")
    assert await kept(story) == 1
    await story.pass_time(minutes=1)
    assert [said.file for said in story.said(room)] == [REPORT.content]
    assert len(story.messenger.files) == 1
    assert await kept(story) == 0


async def test_an_upload_that_fails_is_tried_again(story: Story) -> None:
    anna, room = await asked(story)
    story.messenger.fails = unreachable
    await anna.says(room, "!report")
    assert not story.messenger.files
    story.messenger.fails = lambda where, txn_id: None
    await story.pass_time(minutes=1)
    assert [said.file for said in story.said(room)] == [REPORT.content]


async def test_a_file_that_the_homeserver_will_never_take_is_not_kept(story: Story) -> None:
    anna, room = await asked(story)

    def fails(where: str, txn_id: str) -> None:
        if where == "upload":
            raise DeliveryRefused("M_TOO_LARGE", permanent=True)

    story.messenger.fails = fails
    await anna.says(room, "!report")
    async with story.database.transaction() as tx:
        states = (await tx.connection.execute(select(outbox.c.state, outbox.c.error))).all()
    assert [tuple(each) for each in states] == [(FAILED, "M_TOO_LARGE")]
    assert await kept(story) == 0
    assert [entry.reason_code for entry in await story.audit() if entry.action == "message.deliver"] == [
        "M_TOO_LARGE"
    ]


async def test_what_a_room_is_no_longer_owed_takes_its_files_along(story: Story) -> None:
    anna, room = await asked(story)
    story.messenger.fails = unreachable
    await anna.says(room, "!report")
    async with story.database.transaction() as tx:
        assert await tx.outbox.give_up(room, "left") == 1
    assert await kept(story) == 0


async def test_a_file_waits_with_its_message_while_a_stranger_is_in_the_room(story: Story) -> None:
    anna, room = await asked(story)
    async with story.database.transaction() as tx:
        await tx.rooms.settle(room, [anna.user_id, "@eve:elsewhere.example"])
    said = await anna.says(room, "!report")
    assert "waits" in said
    assert said.file is None
    assert await kept(story) == 1
    async with story.database.transaction() as tx:
        await tx.rooms.settle(room, [anna.user_id])
    await story.pass_time(seconds=10)
    assert REPORT.content in [said.file for said in story.said(room)]


async def test_the_database_holds_a_file_sealed(story: Story) -> None:
    anna, room = await asked(story)
    story.messenger.fails = unreachable
    await anna.says(room, "!report")
    async with story.database.transaction() as tx:
        [raw] = (await tx.connection.execute(text("SELECT content FROM attachments"))).scalars()
    assert REPORT.content not in bytes(raw)


async def test_a_file_that_is_gone_ends_its_message(story: Story) -> None:
    """Instead of a message that promises a file, and instead of trying for ever."""
    anna, room = await asked(story)
    story.messenger.fails = unreachable
    await anna.says(room, "!report")
    async with story.database.transaction() as tx:
        await tx.connection.execute(attachments.delete())
    await story.pass_time(timedelta(seconds=5), minutes=1)
    async with story.database.transaction() as tx:
        assert (await tx.connection.execute(select(outbox.c.error))).scalar_one() == "file_lost"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", "a\nb"])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(ValueError, match="name of a file"):
        Attachment(name, "text/plain", b"")


def test_a_file_has_its_limit_and_cannot_stand() -> None:
    Attachment("a", "text/plain", bytes(LARGEST_ATTACHMENT))
    with pytest.raises(ValueError, match="are the most"):
        Attachment("a", "text/plain", bytes(LARGEST_ATTACHMENT + 1))
    with pytest.raises(ValueError, match="no standing card"):
        Post(card(t("The report.")), standing=True, attachment=REPORT)


@pytest.mark.parametrize("size", [0, 1, 16, 1000])
def test_other_clients_can_open_what_we_seal_and_we_what_they_seal(size: int) -> None:
    content = bytes(range(256)) * 4
    ciphertext, file = seal(content[:size])
    key, digest = file["key"]["k"], file["hashes"]["sha256"]
    assert decrypt_attachment(ciphertext, key, digest, file["iv"]) == content[:size]
    theirs, described = encrypt_attachment(content[:size])
    assert unseal(theirs, described) == content[:size]


def test_each_file_has_a_key_of_its_own_and_a_counter_that_begins_at_zero() -> None:
    (one, first), (other, second) = seal(b"the same"), seal(b"the same")
    assert one != other
    assert first["key"]["k"] != second["key"]["k"]
    assert first["key"] | {"k": ""} == {
        "kty": "oct",
        "key_ops": ["encrypt", "decrypt"],
        "alg": "A256CTR",
        "k": "",
        "ext": True,
    }
    assert first["v"] == "v2"
    assert first["iv"].endswith("AAAAAAAAAA")


@pytest.mark.parametrize(
    "broken",
    [
        {"v": "v1"},
        {"key": {}},
        {"key": {"k": "AAAA"}},
        {"key": {"k": 7}},
        {"iv": "AAAA"},
        {"iv": "???"},
        {"hashes": {}},
        {"hashes": {"sha256": encode64(hashlib.sha256(b"another").digest())}},
    ],
)
def test_a_file_that_was_changed_or_is_described_wrongly_is_not_opened(broken: dict[str, Any]) -> None:
    ciphertext, file = seal(b"content")
    with pytest.raises(Malformed):
        unseal(ciphertext, file | broken)
