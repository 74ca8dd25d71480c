"""The first people: admins named in the configuration are enrolled when the bot starts."""

from dataclasses import replace
from datetime import datetime

import structlog

from bot.config import Settings
from storage.agencies import Agency
from storage.audit import Entry
from storage.members import ACTIVE, FINGERPRINT, Member
from storage.transaction import Database, Transaction

CONFIGURATION = "config"  # who enrolled, granted or pinned: nobody in a room

log = structlog.get_logger()


async def enrol_admins(database: Database, settings: Settings, server: str | None, now: datetime) -> None:
    """Enrol each admin who never was; pin the fingerprints that the configuration gives.

    Those who are enrolled, suspended or removed stay as they are: after the first start, admins decide.
    """
    async with database.transaction() as tx:
        for named in settings.members.admins:
            user_id = named if named.startswith("@") else f"@{named}:{server}"
            member = await tx.members.find(user_id)
            if member is None:
                member = await _enrol(tx, settings, user_id, now)
            elif member.state != ACTIVE:
                log.warning("admin.not_active", user=user_id, state=member.state)
            key = settings.members.fingerprints.get(named)
            if key and key != member.master_key:
                await tx.members.repin(user_id, key, FINGERPRINT, now)
                await tx.audit.add(_entry(now, "member.pin", member, ("master_key",)))


async def _enrol(tx: Transaction, settings: Settings, user_id: str, now: datetime) -> Member:
    wish = settings.members
    await tx.agencies.add(Agency(wish.agency, wish.agency_name, wish.agency_name, None))
    name = _name_in(user_id)
    member = Member(user_id, wish.agency, name, None, None, ACTIVE, None, None, None, CONFIGURATION, now)
    await tx.members.enrol(member)
    for role in wish.admin_roles:
        await tx.members.grant(user_id, role, wish.agency, by=CONFIGURATION, now=now)
    await tx.audit.add(_entry(now, "member.add", member, ("state", *wish.admin_roles)))
    log.info("admin.enrolled", user=user_id, agency=wish.agency)
    return member


def _name_in(user_id: str) -> str | None:
    """`Sam` for @sam:hq.example; None where it cannot be told how a name is written."""
    localpart = user_id[1:].partition(":")[0]
    return localpart.capitalize() if localpart.isalpha() else None


def _entry(now: datetime, action: str, member: Member, names: tuple[str, ...]) -> Entry:
    entry = Entry(now, "system", action, object=member.user_id, agency=member.agency)
    return replace(entry, fields=names, actor=CONFIGURATION)
