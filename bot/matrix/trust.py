"""Whom to believe and to whom to give keys: pure decisions, and the circle they rest on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.kernel import clock
from storage.audit import Entry
from storage.inbox import Received
from storage.members import ACTIVE, SUSPENDED, VERIFIED
from storage.transaction import Transaction

STRANGER = "stranger"
FIRST_SIGHT, FINGERPRINT = "first-sight", "fingerprint"
INVITING_ROLES = frozenset({"admin", "supervisor"})


class Reason(StrEnum):
    """Why something received is not acted on; the value is what the inbox row says."""

    NOT_ENROLLED = "not_enrolled"
    SUSPENDED = "suspended"
    SENDER_MISMATCH = "sender_mismatch"
    IDENTITY_CHANGED = "identity_changed"
    NOT_PINNED = "not_pinned"
    UNKNOWN_DEVICE = "unknown_device"
    UNVERIFIED_DEVICE = "unverified_device"
    DEVICE_CHANGED = "device_changed"
    CLEAR_TEXT = "clear_text"
    REPLAYED = "replayed"
    ROOM_MISMATCH = "room_mismatch"
    MALFORMED = "malformed"
    STATE_IN_CIPHERTEXT = "state_in_ciphertext"
    INVITE_NOT_ALLOWED = "invite_not_allowed"
    ROOM_NOT_ENCRYPTED = "room_not_encrypted"


class Withheld(StrEnum):
    """Why a device gets no room key; codes of `m.room_key.withheld`."""

    UNAUTHORISED = "m.unauthorised"
    UNVERIFIED = "m.unverified"


@dataclass(frozen=True)
class Device:
    """A device with valid keys; `signed` says that its owner's self-signing key vouches for it."""

    user_id: str
    device_id: str
    ed25519: str
    curve25519: str
    signed: bool
    name: str | None = None

    def has_keys_of(self, other: "Device") -> bool:
        """Whether both keys are those of the other."""
        return (self.ed25519, self.curve25519) == (other.ed25519, other.curve25519)


@dataclass(frozen=True)
class Identity:
    """A user's valid master key (None: none is shown) and devices by id.

    `vouched`: our own user-signing key has signed the master key, here or in an operator's client.
    """

    user_id: str
    master: str | None = None
    devices: dict[str, Device] = field(default_factory=dict)
    vouched: bool = False

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"master": self.master, "devices": [vars(device) for device in self.devices.values()]}

    @classmethod
    def of(cls, user_id: str, document: dict[str, Any]) -> "Identity":
        """From plain JSON."""
        devices = [Device(**values) for values in document["devices"]]
        return cls(user_id, document["master"], {device.device_id: device for device in devices})


@dataclass(frozen=True)
class Standing:
    """What our own records say of a user; without `needs_pin` any identity of theirs will do."""

    state: str
    pin: str | None = None
    needs_pin: bool = True


@dataclass(frozen=True)
class Owner:
    """Who gave us a Megolm session, as the Olm channel proved it."""

    user_id: str
    curve25519: str
    ed25519: str


@dataclass(frozen=True)
class Verdict:
    """A device that is believed, or the reason why none is."""

    device: Device | None
    reason: Reason | None


def decide(sender: str, standing: Standing, identity: Identity, owner: Owner) -> Verdict:
    """Whether what `owner`'s session carried may count as said by `sender` (section 3.4 in its order)."""
    if standing.state != ACTIVE:
        suspended = standing.state == SUSPENDED
        return Verdict(None, Reason.SUSPENDED if suspended else Reason.NOT_ENROLLED)
    if owner.user_id != sender or identity.user_id != sender:
        return Verdict(None, Reason.SENDER_MISMATCH)
    if (reason := distrust(standing, identity)) is not None:
        return Verdict(None, reason)
    device = device_with(identity, owner)
    if device is None:
        return Verdict(None, Reason.UNKNOWN_DEVICE)
    return Verdict(device, None if device.signed else Reason.UNVERIFIED_DEVICE)


def distrust(standing: Standing, identity: Identity) -> Reason | None:
    """Why this identity is not the one that is enrolled; None if it is."""
    if not standing.needs_pin:
        return None
    if standing.pin is not None:
        return None if identity.master == standing.pin else Reason.IDENTITY_CHANGED
    return Reason.UNVERIFIED_DEVICE if identity.master is None else Reason.NOT_PINNED


def device_with(identity: Identity, owner: Owner) -> Device | None:
    """The device that has both keys of this owner."""
    for device in identity.devices.values():
        if device.curve25519 == owner.curve25519 and device.ed25519 == owner.ed25519:
            return device
    return None


def withhold(standing: Standing, identity: Identity, device: Device) -> Withheld | None:
    """Why this device gets no room keys; None if it does."""
    if standing.state != ACTIVE:
        return Withheld.UNAUTHORISED
    if distrust(standing, identity) is not None or not device.signed:
        return Withheld.UNVERIFIED
    return None


class Circle:
    """Who counts: here anyone with a cross-signed device, as for a person's own client."""

    hears_notices = True
    leaves_plaintext = False
    alone_on_account = False  # a person may have devices that she has not verified yet
    verifies = False  # her client shows no emoji

    async def standings(self, tx: Transaction, users: Iterable[str]) -> dict[str, Standing]:
        """What our records say of these users."""
        return {user: Standing(ACTIVE, needs_pin=False) for user in users}

    async def standing(self, tx: Transaction, user_id: str) -> Standing:
        """What our records say of this user."""
        return (await self.standings(tx, [user_id]))[user_id]

    async def see(self, tx: Transaction, identities: Sequence[Identity]) -> dict[str, Standing]:
        """The homeserver has shown these identities: pin them where that is allowed; the standings then."""
        return await self.standings(tx, [identity.user_id for identity in identities])

    async def unseen(self, tx: Transaction, limit: int) -> list[str]:
        """Who is to be asked for though nothing came from them: here nobody."""
        return []

    async def may_invite(self, tx: Transaction, user_id: str, direct: bool) -> bool | None:
        """Whether this user's invite is accepted, to a room that is said to be direct or not.

        None: left open for the person to answer.
        """
        return None


class EnrolledCircle(Circle):
    """Who counts for the bot: enrolled, active members with a pinned identity."""

    hears_notices = False
    leaves_plaintext = True
    alone_on_account = True
    verifies = True

    def __init__(self, pinning: str = FIRST_SIGHT) -> None:
        """`pinning` is `first-sight` or `fingerprint` (an admin pins by hand)."""
        self.pinning = pinning

    async def standings(self, tx: Transaction, users: Iterable[str]) -> dict[str, Standing]:
        """From the members' records; unknown and removed ones are strangers."""
        wanted = list(users)
        members = await tx.members.standings(wanted)
        return {user: _standing(*members.get(user, (STRANGER, None))) for user in wanted}

    async def see(self, tx: Transaction, identities: Sequence[Identity]) -> dict[str, Standing]:
        """Pin each active member's first identity, if the configuration lets first sight decide."""
        standings = await super().see(tx, identities)
        for identity in identities:
            user, standing = identity.user_id, standings[identity.user_id]
            new = standing.state == ACTIVE and not standing.pin and identity.master
            if new and self.pinning == FIRST_SIGHT:
                await _pin(tx, user, new, clock.now())
                standings[user] = await self.standing(tx, user)
            if identity.vouched and standing.state == ACTIVE:
                await self._take_up(tx, identity)
                standings[user] = await self.standing(tx, user)
        return standings

    async def _take_up(self, tx: Transaction, identity: Identity) -> None:
        """An operator, signed in as the bot, has compared emoji with this member (R3)."""
        user, master, now = identity.user_id, str(identity.master), clock.now()
        pin = (await self.standing(tx, user)).pin
        if pin is None:
            changed = await tx.members.pin(user, master, VERIFIED, now)
        else:
            changed = await tx.members.verify(user, master, now)
        if changed or pin not in (None, master):
            # Whoever signed it, another key than the pinned one is never pinned without an admin's word.
            content = {"stage": "vouched" if changed else "vouched_other"}
            event_id = f"vouched:{user}:{master}:{content['stage']}"
            await tx.inbox.add(Received(event_id, "", user, "verification", content, now, now))

    async def unseen(self, tx: Transaction, limit: int) -> list[str]:
        """Active members whose identity nobody has asked for yet: it may be pinned before they ever speak."""
        return await tx.members.unseen(limit)

    async def may_invite(self, tx: Transaction, user_id: str, direct: bool) -> bool | None:
        """Active members with a grant as admin or supervisor in force; all active members to direct rooms.

        A client opens a direct room when Verify is pressed; keys go to members there as anywhere.
        """
        if (await self.standing(tx, user_id)).state != ACTIVE:
            return False
        return direct or any(
            grant.role in INVITING_ROLES for grant in await tx.members.grants(user_id, clock.now())
        )


async def _pin(tx: Transaction, user: str, master: str, now: datetime) -> None:
    """Pin a member's first identity, and have it told to whoever enrolled her."""
    await tx.members.pin(user, master, FIRST_SIGHT, now)
    entry = Entry(now, "system", "member.pin", object=user, fields=("master_key",), reason_code=FIRST_SIGHT)
    await tx.audit.add(entry)
    content = {"user_id": user, "identity": master}
    await tx.inbox.add(Received(f"identity:{user}:{master}", "", user, "identity", content, now, now))


def _standing(state: str, pin: str | None) -> Standing:
    return Standing(state, pin) if state in (ACTIVE, SUSPENDED) else Standing(STRANGER)
