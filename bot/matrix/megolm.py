"""Megolm: ratchets of rooms, received ones by room, id and giver; our own ones with their rotation."""

from dataclasses import replace
from datetime import datetime, timedelta

from vodozemac import GroupSession, InboundGroupSession, MegolmMessage, SessionKey

from bot.kernel import clock
from bot.matrix.identities import MEGOLM
from bot.matrix.olm import OlmPayload
from bot.matrix.trust import Owner
from bot.matrix.wire import Json, Malformed, need
from storage.crypto import InboundSession, OutboundSession
from storage.transaction import Transaction

MOST_MESSAGES = 100  # section R10: whatever the room allows
LONGEST_LIFE = timedelta(days=7)
SHORTEST_LIFE = timedelta(minutes=1)  # a room that demands less is a way to keep us busy
MOST_SESSIONS = 20_000  # from one device; a bound on what a hostile one can make us store


class TooEarly(ValueError):
    """The message is from before the point from which we may read its session."""


def owner_of(session: InboundSession) -> Owner:
    """Who gave us this session."""
    return Owner(session.user_id, session.sender_key, session.signing_key)


class Megolm:
    """The ratchets; every method needs the Olm machine's lock, as they read and write one state."""

    def __init__(self, pickle_key: bytes) -> None:
        self._key = pickle_key

    async def accept(self, tx: Transaction, payload: OlmPayload) -> tuple[str, str]:
        """Keep a room key that came over Olm; the room and session it opens. Malformed if it is none.

        Of two keys for one session by the same giver the one that reaches further back stays (S13).
        """
        content = payload.content
        if content.get("algorithm") != MEGOLM:
            raise Malformed("a room key for another algorithm")
        room_id, session_id = need(content.get("room_id")), need(content.get("session_id"))
        session = InboundGroupSession(SessionKey(need(content.get("session_key"), 4096)))
        if session.session_id != session_id:
            raise Malformed("a room key that is not the session it says")
        owner = payload.owner
        if await tx.crypto.inbound_count(owner.curve25519) >= MOST_SESSIONS:
            raise Malformed("too many room keys from one device")
        for known in await tx.crypto.inbound(room_id, session_id):
            if known.sender_key == owner.curve25519 and not self._reaches_back(known, session):
                return room_id, session_id
        pickle = session.pickle(self._key).encode()
        await tx.crypto.save_inbound(
            InboundSession(
                room_id, session_id, owner.curve25519, owner.user_id, owner.ed25519, pickle, clock.now()
            )
        )
        return room_id, session_id

    def _reaches_back(self, known: InboundSession, new: InboundGroupSession) -> bool:
        old = InboundGroupSession.from_pickle(known.pickle.decode(), self._key)
        if new.first_known_index >= old.first_known_index:
            return False
        mine, theirs = old.export_at(old.first_known_index), new.export_at(old.first_known_index)
        return mine is not None and theirs is not None and mine.to_base64() == theirs.to_base64()

    def decrypt(self, session: InboundSession, ciphertext: str) -> tuple[bytes, int]:
        """The plaintext and its ratchet index; TooEarly, or another ValueError if it does not open."""
        ratchet = InboundGroupSession.from_pickle(session.pickle.decode(), self._key)
        message = MegolmMessage.from_base64(ciphertext)
        if message.message_index() < ratchet.first_known_index:
            raise TooEarly("the session is known from a later message on")
        opened = ratchet.decrypt(message)
        return bytes(opened.plaintext), int(opened.message_index)

    async def current(
        self, tx: Transaction, room_id: str, allowed: dict[str, dict[str, str]], limits: "Limits"
    ) -> OutboundSession:
        """Our session for the room; a new one where the old is spent or is known to one not allowed now."""
        session = await tx.crypto.outbound(room_id)
        if session is not None and not limits.is_spent(session, clock.now()) and is_within(session, allowed):
            return session
        ratchet = GroupSession()
        session = OutboundSession(
            room_id, ratchet.session_id, ratchet.pickle(self._key).encode(), 0, {}, [], clock.now(), {}
        )
        await tx.crypto.save_outbound(session)
        return session

    def room_key(self, session: OutboundSession) -> Json:
        """The `m.room_key` content that opens this session from its present index on."""
        ratchet = GroupSession.from_pickle(session.pickle.decode(), self._key)
        return {
            "algorithm": MEGOLM,
            "room_id": session.room_id,
            "session_id": session.session_id,
            "session_key": ratchet.session_key.to_base64(),
        }

    async def encrypt(self, tx: Transaction, session: OutboundSession, plaintext: bytes) -> str | None:
        """One message; the ratchet that moved on is in the transaction. None if the session was ended."""
        current = await tx.crypto.outbound(session.room_id)
        if current is None or current.session_id != session.session_id:
            return None
        ratchet = GroupSession.from_pickle(current.pickle.decode(), self._key)
        ciphertext: str = ratchet.encrypt(plaintext).to_base64()
        pickle = ratchet.pickle(self._key).encode()
        moved = replace(current, pickle=pickle, messages=current.messages + 1)
        await tx.crypto.change_outbound(moved, "pickle", "messages")
        return ciphertext


class Limits:
    """How long a session may serve: the room's own rotation, only ever tightened."""

    def __init__(self, messages: int | None = None, milliseconds: int | None = None) -> None:
        self.messages = min(MOST_MESSAGES, max(1, messages if messages is not None else MOST_MESSAGES))
        asked = LONGEST_LIFE
        if milliseconds is not None and milliseconds < LONGEST_LIFE / timedelta(milliseconds=1):
            asked = timedelta(milliseconds=milliseconds)
        self.life = max(SHORTEST_LIFE, asked)

    def is_spent(self, session: OutboundSession, now: datetime) -> bool:
        """Whether the session must be followed by a new one."""
        return session.messages >= self.messages or now - session.made_at >= self.life


def is_within(session: OutboundSession, allowed: dict[str, dict[str, str]]) -> bool:
    """Whether nobody has the session, or may have it, but these devices."""
    return all(
        allowed.get(user, {}).get(device) == key
        for having in (session.shared_with, session.offered)
        for user, devices in having.items()
        for device, key in devices.items()
    )
