"""Encryption at rest: what is stored opens only with its key, in its column, as it was written."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.exceptions import InvalidTag
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from bot.kernel import clock
from storage.encryption import EncryptedColumn, Keyring, WrongMasterKey
from storage.inbox import Received
from storage.schema import metadata
from storage.transaction import Database
from storage.transitions import Transition
from tests.fakes import NOON

SECRET = "Pont fermé, 2 blessés"
LABEL = "alerts.headline"


def keyring(*key_ids: int) -> Keyring:
    return Keyring({key_id: bytes([key_id]) * 32 for key_id in key_ids}, clock.random_bytes)


def received(body: str) -> Received:
    return Received("$1", "!ops", "@anna:rcmp.example", "message", {"body": body}, NOON, NOON)


@pytest_asyncio.fixture
async def again(database: Database) -> AsyncIterator[Database]:
    """The same database, opened by another process that has not unlocked it yet."""
    url = database.engine.url.render_as_string(hide_password=False)
    other = Database(url, clock.random_bytes)
    yield other
    await other.close()


@pytest.mark.parametrize("plain", [b"", b"\0", SECRET.encode(), b"x" * 100_000])
def test_what_was_sealed_opens_again(plain: bytes) -> None:
    assert keyring(1).decrypt(keyring(1).encrypt(plain, LABEL), LABEL) == plain


def test_the_same_text_is_never_sealed_alike() -> None:
    assert keyring(1).encrypt(b"yes", LABEL) != keyring(1).encrypt(b"yes", LABEL)


def test_a_value_moved_to_another_column_does_not_open() -> None:
    with pytest.raises(InvalidTag):
        keyring(1).decrypt(keyring(1).encrypt(b"yes", LABEL), "alerts.closed_reason")


def test_any_byte_that_is_changed_shows() -> None:
    sealed = keyring(1).encrypt(b"yes", LABEL)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(InvalidTag):
            keyring(1).decrypt(changed, LABEL)


@pytest.mark.parametrize("length", [0, 3, 4, 15, 20])
def test_a_value_cut_short_does_not_open(length: int) -> None:
    with pytest.raises(InvalidTag):
        keyring(1).decrypt(keyring(1).encrypt(b"yes", LABEL)[:length], LABEL)


def test_the_newest_key_seals_and_every_key_opens() -> None:
    old = keyring(1).encrypt(b"old", LABEL)
    new = keyring(1, 2).encrypt(b"new", LABEL)
    assert (old[:4], new[:4]) == (b"\0\0\0\1", b"\0\0\0\2")
    assert keyring(1, 2).decrypt(old, LABEL) == b"old"
    assert keyring(1, 2).decrypt(new, LABEL) == b"new"
    with pytest.raises(InvalidTag):
        keyring(1).decrypt(new, LABEL)


def test_a_blind_index_finds_the_same_value_in_the_same_column_only() -> None:
    blind = keyring(1).blind("613-555-0142", "people.telephone")
    assert blind == keyring(1).blind("613-555-0142", "people.telephone")
    assert blind != keyring(1).blind("613-555-0143", "people.telephone")
    assert blind != keyring(1).blind("613-555-0142", "people.pager")
    assert blind != keyring(2).blind("613-555-0142", "people.telephone")


def test_look_ups_and_derived_keys_outlive_a_new_data_key() -> None:
    assert keyring(1).blind("a", LABEL) == keyring(1, 2).blind("a", LABEL)
    assert keyring(1).derive("one") == keyring(1, 2).derive("one")


def test_each_purpose_has_its_own_key() -> None:
    derived = [keyring(1).derive("one"), keyring(1).derive("two"), keyring(2).derive("one")]
    assert {len(key) for key in derived} == {32}
    assert all(one != other for one, other in itertools.combinations(derived, 2))


def test_each_encrypted_column_has_its_own_name_as_label() -> None:
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    labels = {str(each): each.type.label for each in columns if isinstance(each.type, EncryptedColumn)}
    assert len(labels) > 5
    assert labels == {name: name for name in labels}


async def test_the_database_holds_no_plain_text(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.inbox.add(received(SECRET))
        stored = (await tx.connection.execute(text("SELECT content FROM inbox"))).scalar_one()
        found = await tx.inbox.find("$1")
    assert b"ferm" not in bytes(stored)
    assert found == received(SECRET)


async def test_a_value_swapped_with_that_of_another_column_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.inbox.add(received(SECRET))
        await tx.transitions.add(Transition("A-1", None, "active", NOON, reason=SECRET))
        await tx.connection.execute(text("UPDATE transitions SET reason = (SELECT content FROM inbox)"))
        with pytest.raises(InvalidTag):
            await tx.transitions.of("A-1")


async def test_nothing_stays_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.transitions.add(Transition("A-1", None, "active", NOON))
        assert (await tx.transitions.of("A-1"))[0].reason is None


async def test_the_same_master_key_opens_the_database_again(database: Database, again: Database) -> None:
    async with database.transaction() as tx:
        await tx.inbox.add(received(SECRET))
    await again.unlock(b"m" * 32, NOON)
    async with again.transaction() as tx:
        assert await tx.inbox.find("$1") == received(SECRET)


@pytest.mark.parametrize(
    ("master_key", "says"),
    [
        (b"x" * 32, "the master key does not belong to this database"),
        (b"m" * 31, "the master key must be 32 bytes, not 31"),
        (b"", "the master key must be 32 bytes, not 0"),
    ],
)
async def test_a_wrong_master_key_is_refused_in_a_line(again: Database, master_key: bytes, says: str) -> None:
    with pytest.raises(WrongMasterKey, match=f"^{says}$"):
        await again.unlock(master_key, NOON)
    assert again.keyring is None


async def test_a_database_that_is_still_locked_takes_no_text(again: Database) -> None:
    with pytest.raises(StatementError, match="the database is locked"):
        async with again.transaction() as tx:
            await tx.inbox.add(received(SECRET))
