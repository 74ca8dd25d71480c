"""Whom the bot believes and to whom it gives keys, as tables."""

import pytest

from bot.matrix.receive import device_named
from bot.matrix.trust import (
    STRANGER,
    Device,
    EnrolledCircle,
    Identity,
    Owner,
    Reason,
    Standing,
    Withheld,
    decide,
    withhold,
)
from storage.crypto import DeviceList
from storage.members import Member
from storage.transaction import Database
from tests.fakes import NOON
from tests.story import Story

ANNA, EVE = "@anna:example.org", "@eve:example.org"
SIGNED = Device(ANNA, "LAPTOP", "ed-laptop", "curve-laptop", signed=True)
UNSIGNED = Device(ANNA, "PHONE", "ed-phone", "curve-phone", signed=False)
SHOWN = Identity(ANNA, "master", {"LAPTOP": SIGNED, "PHONE": UNSIGNED})
PINNED = Standing("active", "master")
LAPTOP = Owner(ANNA, "curve-laptop", "ed-laptop")


@pytest.mark.parametrize(
    ("named", "known", "device"),
    [("LAPTOP", SHOWN, "LAPTOP"), ("MADEUP", SHOWN, None), ("LAPTOP", None, None), (None, SHOWN, None)],
)
def test_a_device_that_an_event_names_in_clear_is_one_of_its_senders(
    named: str | None, known: Identity | None, device: str | None
) -> None:
    listed = DeviceList(ANNA, False, known.document(), None) if known else None
    assert device_named({"content": {"device_id": named}}, listed) == device


@pytest.mark.parametrize(
    ("sender", "standing", "identity", "owner", "reason"),
    [
        (ANNA, PINNED, SHOWN, LAPTOP, None),
        (ANNA, Standing(STRANGER), SHOWN, LAPTOP, Reason.NOT_ENROLLED),
        (ANNA, Standing("suspended", "master"), SHOWN, LAPTOP, Reason.SUSPENDED),
        (ANNA, Standing("removed", "master"), SHOWN, LAPTOP, Reason.NOT_ENROLLED),
        # Somebody else's session under her name, whatever keys it shows.
        (ANNA, PINNED, SHOWN, Owner(EVE, "curve-eve", "ed-eve"), Reason.SENDER_MISMATCH),
        (ANNA, PINNED, SHOWN, Owner(EVE, "curve-laptop", "ed-laptop"), Reason.SENDER_MISMATCH),
        (EVE, PINNED, SHOWN, LAPTOP, Reason.SENDER_MISMATCH),
        # An identity that is not the pinned one, or is gone.
        (ANNA, Standing("active", "older"), SHOWN, LAPTOP, Reason.IDENTITY_CHANGED),
        (ANNA, PINNED, Identity(ANNA, None, SHOWN.devices), LAPTOP, Reason.IDENTITY_CHANGED),
        (ANNA, PINNED, Identity(ANNA), LAPTOP, Reason.IDENTITY_CHANGED),
        # Nothing is pinned yet.
        (ANNA, Standing("active"), SHOWN, LAPTOP, Reason.NOT_PINNED),
        (ANNA, Standing("active"), Identity(ANNA, None, SHOWN.devices), LAPTOP, Reason.UNVERIFIED_DEVICE),
        # Both keys of the device must be those of the session.
        (ANNA, PINNED, SHOWN, Owner(ANNA, "curve-eve", "ed-laptop"), Reason.UNKNOWN_DEVICE),
        (ANNA, PINNED, SHOWN, Owner(ANNA, "curve-laptop", "ed-eve"), Reason.UNKNOWN_DEVICE),
        (ANNA, PINNED, SHOWN, Owner(ANNA, "curve-laptop", "ed-phone"), Reason.UNKNOWN_DEVICE),
        (ANNA, PINNED, SHOWN, Owner(ANNA, "curve-phone", "ed-phone"), Reason.UNVERIFIED_DEVICE),
        # A person's own client asks for no pin, but for a signature all the same.
        (ANNA, Standing("active", needs_pin=False), SHOWN, LAPTOP, None),
        (
            ANNA,
            Standing("active", needs_pin=False),
            SHOWN,
            Owner(ANNA, "curve-phone", "ed-phone"),
            Reason.UNVERIFIED_DEVICE,
        ),
    ],
)
def test_a_message_counts_only_from_a_signed_device_of_the_pinned_identity(
    sender: str, standing: Standing, identity: Identity, owner: Owner, reason: Reason | None
) -> None:
    """The table of `decide`."""
    verdict = decide(sender, standing, identity, owner)
    assert verdict.reason == reason
    if reason is None:
        assert verdict.device == SIGNED
    if reason is Reason.UNVERIFIED_DEVICE and verdict.device is not None:
        assert verdict.device == UNSIGNED


@pytest.mark.parametrize(
    ("standing", "identity", "device", "code"),
    [
        (PINNED, SHOWN, SIGNED, None),
        (PINNED, SHOWN, UNSIGNED, Withheld.UNVERIFIED),
        (Standing(STRANGER), SHOWN, SIGNED, Withheld.UNAUTHORISED),
        (Standing("suspended", "master"), SHOWN, SIGNED, Withheld.UNAUTHORISED),
        (Standing("active", "older"), SHOWN, SIGNED, Withheld.UNVERIFIED),
        (Standing("active"), SHOWN, SIGNED, Withheld.UNVERIFIED),
        (PINNED, Identity(ANNA), SIGNED, Withheld.UNVERIFIED),
        (Standing("active", needs_pin=False), SHOWN, SIGNED, None),
        (Standing("active", needs_pin=False), SHOWN, UNSIGNED, Withheld.UNVERIFIED),
    ],
)
def test_keys_go_only_to_signed_devices_of_the_pinned_identity(
    standing: Standing, identity: Identity, device: Device, code: Withheld | None
) -> None:
    """The table of `withhold`."""
    assert withhold(standing, identity, device) == code


async def test_the_first_identity_of_a_member_is_pinned_once_recorded_and_told(database: Database) -> None:
    """A stranger's is not, nor a second one."""
    story = await Story.begin(database, [])
    async with database.transaction() as tx:
        await tx.members.enrol(Member(ANNA, "RCMP", None, None, None, "active", None, None, None, "x", NOON))
        circle = EnrolledCircle()
        assert await circle.unseen(tx, 10) == [ANNA]
        for identity in (SHOWN, Identity(ANNA, "other"), Identity(EVE, "hers")):
            await circle.see(tx, [identity])
        assert (await circle.standing(tx, ANNA)).pin == "master"
        rows = await tx.inbox.unhandled()
    assert [(row.kind, row.content) for row in rows] == [
        ("identity", {"user_id": ANNA, "identity": "master"})
    ]
    (entry,) = await story.audit()
    assert (entry.type, entry.action, entry.object, entry.reason_code) == (
        "system",
        "member.pin",
        ANNA,
        "first-sight",
    )


async def test_where_fingerprints_are_given_by_hand_nothing_is_pinned_at_sight(database: Database) -> None:
    """Nor is it told, as it could be copied into the command without being compared."""
    async with database.transaction() as tx:
        await tx.members.enrol(Member(ANNA, "RCMP", None, None, None, "active", None, None, None, "x", NOON))
        await EnrolledCircle("fingerprint").see(tx, [SHOWN])
        assert (await tx.members.standings([ANNA]))[ANNA] == ("active", None)
        assert await tx.inbox.unhandled() == []


async def test_who_was_asked_for_is_unseen_no_more(database: Database) -> None:
    """Also if the homeserver knows no device of theirs."""
    async with database.transaction() as tx:
        await tx.members.enrol(Member(ANNA, "RCMP", None, None, None, "active", None, None, None, "x", NOON))
        await tx.crypto.save_device_lists([DeviceList(ANNA, False, Identity(ANNA).document(), None)])
        assert await EnrolledCircle().unseen(tx, 10) == []
