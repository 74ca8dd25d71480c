"""The first people: who is named in the configuration is enrolled once; after that, admins decide."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.config import MembersSettings, Settings
from bot.enrolment import enrol_admins
from storage.audit import audit
from storage.members import ACTIVE, FINGERPRINT, FIRST_SIGHT, SUSPENDED, Member
from storage.transaction import Database
from tests.fakes import NOON

SAM = "@sam:hq.example"
KEY, OTHER_KEY = "A" * 43, "B" * 43


async def start(database: Database, server: str | None = "hq.example", **members: object) -> Member:
    """What is known of Sam after a start with this configuration."""
    wish = MembersSettings(admins=(SAM,), agency="RCMP", agency_name="RCMP")
    wish = replace(wish, **members)  # type: ignore[arg-type]  # names of its fields
    await enrol_admins(database, Settings(Path("data"), members=wish), server, NOON)
    async with database.transaction() as tx:
        member = await tx.members.find(SAM)
    assert member is not None
    return member


async def roles(database: Database) -> list[str]:
    """Sam's roles an hour later."""
    async with database.transaction() as tx:
        return [grant.role for grant in await tx.members.grants(SAM, NOON + timedelta(hours=1))]


async def record(database: Database) -> list[tuple[str, str]]:
    """Who did what, by the audit record."""
    async with database.transaction() as tx:
        rows = await tx.connection.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.id))
        return [(row[0], row[1]) for row in rows]


async def test_an_admin_is_enrolled_with_agency_and_roles_and_it_is_on_record(database: Database) -> None:
    member = await start(database)
    assert (member.agency, member.state, member.master_key) == ("RCMP", ACTIVE, None)
    assert await roles(database) == ["admin", "liaison"]
    assert await record(database) == [("config", "member.add")]
    async with database.transaction() as tx:
        assert (await tx.agencies.find("RCMP")) is not None


@pytest.mark.parametrize(("user_id", "name"), [(SAM, "Sam"), ("@j.roy-2:hq.example", None)])
async def test_an_admin_has_the_name_that_her_user_id_tells(
    database: Database, user_id: str, name: str | None
) -> None:
    await start(database, admins=(SAM, user_id))
    async with database.transaction() as tx:
        member = await tx.members.find(user_id)
    assert member is not None
    assert member.name == name


async def test_on_the_own_homeserver_a_name_is_enough(database: Database) -> None:
    await start(database, admins=("sam",))


async def test_a_second_start_changes_nothing_even_if_a_role_was_revoked(database: Database) -> None:
    await start(database)
    async with database.transaction() as tx:
        await tx.members.revoke(SAM, NOON, "liaison")
    await start(database)
    assert await roles(database) == ["admin"]
    assert len(await record(database)) == 1


async def test_who_was_suspended_stays_so(database: Database) -> None:
    await start(database)
    async with database.transaction() as tx:
        await tx.members.set_state(SAM, SUSPENDED, was=ACTIVE)
    assert (await start(database)).state == SUSPENDED


async def test_a_fingerprint_of_the_configuration_is_pinned_in_place_of_any_other(database: Database) -> None:
    await start(database)
    async with database.transaction() as tx:
        await tx.members.pin(SAM, OTHER_KEY, FIRST_SIGHT, NOON)
    member = await start(database, fingerprints={SAM: KEY})
    assert (member.master_key, member.pinned_how) == (KEY, FINGERPRINT)
    await start(database, fingerprints={SAM: KEY})
    assert await record(database) == [("config", "member.add"), ("config", "member.pin")]
