"""Members in words: names, fingerprints, roles. Rules only."""

import base64
from collections.abc import Iterable, Mapping

from bot.kernel.card import Code, Line, Strong, bullet
from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Text, t
from bot.kernel.vocabulary import Role
from bot.kernel.words import grouped, quoted
from storage.members import (
    ACTIVE,
    COMPARED,
    ENROLMENT,
    FINGERPRINT,
    FIRST_SIGHT,
    REMOVED,
    SUSPENDED,
    VERIFIED,
    Grant,
    Member,
)

KEY_BYTES = 32  # an Ed25519 public key (RFC 8032, 5.1.5)
LONGEST_NAME = 60

SAMPLE = "fO37 Gq0X yL6z 1oTn 8Vb4 WcRk 2mDs 9HaE uPjI 5tQx NZk"  # nobody's

STATES = {ACTIVE: t("active member"), SUSPENDED: t("suspended member"), REMOVED: t("removed member")}
PINNED = {
    ENROLMENT: t("pinned at enrolment"),
    FIRST_SIGHT: t("pinned at first sight"),
    FINGERPRINT: t("pinned by fingerprint"),
    COMPARED: t("pinned after two people compared it"),
    VERIFIED: t("pinned and verified by emoji"),
}


def key_of(typed: str) -> str:
    """The master key in a fingerprint as typed, spaces and padding dropped; NotUnderstood if it is none."""
    key = "".join(typed.split()).rstrip("=")
    try:
        raw = base64.b64decode(f"{key}=", validate=True)
    except ValueError:  # also of letters outside ASCII
        raw = b""
    if len(raw) == KEY_BYTES and base64.b64encode(raw).decode().rstrip("=") == key:
        return key
    raise NotUnderstood(
        t("That is not a fingerprint."),
        argument="fingerprint",
        allowed=t("A fingerprint has 43 letters, digits, + and /; spaces do not count"),
        example="!help member pin",
    )


def name_of(typed: str | None) -> str | None:
    """A person's name as it is kept; NotUnderstood if it is empty or does not fit."""
    if typed is None:
        return None
    name = " ".join(typed.split())
    if 0 < len(name) <= LONGEST_NAME:
        return name
    raise NotUnderstood(
        t("A name has 1 to {most} characters, not {count}.", most=LONGEST_NAME, count=len(name)),
        argument="name",
        instead=quoted(name[:LONGEST_NAME].strip() or "Lt Cho"),
    )


def named(member: Member) -> str:
    """`Roy Dubois (@roy:rcmp.example)`, or the user id alone."""
    return f"{member.name} ({member.user_id})" if member.name else member.user_id


def why_not_counted(member: Member, shown: str | None, *, signed: bool) -> Text | None:
    """Why I take no commands from a device and give it no keys; None if it counts. `shown`: the identity."""
    if member.state != ACTIVE:
        return t("does not count: the member is suspended")
    if member.master_key is None:
        return t("does not count: no identity is pinned yet")
    if shown is None:
        return t("does not count: the pinned identity is no longer shown")
    if shown != member.master_key:
        return t("does not count: another identity than the pinned one")
    return None if signed else t("does not count: its owner has not verified it")


def in_words(grant: Grant, home: str, rooms: Mapping[str, str]) -> Text:
    """A grant: its agency only where it is not the member's own, its room, its end."""
    said = Role(grant.role).label
    if grant.agency != home:
        said = t("{role} for {agency}", role=said, agency=grant.agency)
    if grant.room_id is not None:
        said = t("{role} in room {room}", role=said, room=rooms.get(grant.room_id, grant.room_id))
    if grant.expires_at is not None:
        said = t("{role} until {end}", role=said, end=grant.expires_at)
    return said


def roles_of(member: Member, grants: Iterable[Grant], rooms: Mapping[str, str]) -> tuple[Text, ...]:
    """All of a member's grants, each once."""
    said: list[Text] = []
    for grant in grants:
        words = in_words(grant, member.agency, rooms)
        if words not in said:
            said.append(words)
    return tuple(said) or (t("no role"),)


def identity_lines(member: Member, *, violated: bool) -> list[Line]:
    """What is pinned, since when and how; and whether the homeserver shows another identity now."""
    if member.master_key is None:
        return [bullet(t("Identity: not pinned yet"))]
    how = PINNED.get(member.pinned_how or "", t("pinned"))
    at = member.pinned_at or member.enrolled_at
    lines = [
        bullet(t("Identity {how}, {at}:", how=how, at=at), " ", Code(grouped(member.master_key))),
    ]
    if violated:
        lines.append(bullet(Strong(t("ANOTHER identity is shown now: I take no commands and give no keys."))))
    return lines
