"""What leaves: encrypted once, kept until the homeserver has it, the same bytes on every try."""

import asyncio
import logging
from collections import defaultdict

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.canonical import canonical
from bot.matrix.errors import TOO_LARGE, Rejected, SendRefused
from bot.matrix.identities import MEGOLM
from bot.matrix.megolm import Megolm
from bot.matrix.olm import OlmMachine
from bot.matrix.rooms import Room, Rooms
from bot.matrix.sharing import SHARED, Sharing
from bot.matrix.wire import Json, Malformed, obj, objects, text
from storage.crypto import OutboundSession, SealedMessage
from storage.transaction import Database, Transaction

log = logging.getLogger(__name__)

LARGEST_CONTENT = 60_000  # bytes; Matrix specification, "Size limits": 65,536 for the whole event
ATTEMPTS = 3  # a session may be ended between sharing and use; each time a new one is shared
RECENT_EVENTS = 100
NEVER = ("M_TOO_LARGE", "M_BAD_JSON", "M_NOT_JSON", "M_INVALID_PARAM", "M_FORBIDDEN", "M_NOT_FOUND")


class Sender:
    """Sends to rooms that are known to be encrypted, one message at a time in each."""

    def __init__(
        self,
        database: Database,
        server: Homeserver,
        machine: OlmMachine,
        megolm: Megolm,
        sharing: Sharing,
        rooms: Rooms,
        own_master: str,
    ) -> None:
        self._database = database
        self._server = server
        self._machine = machine
        self._megolm = megolm
        self._sharing = sharing
        self._rooms = rooms
        self._own_master = own_master
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sealed: set[str] = set()  # transaction ids of what is kept encrypted
        self._sent: set[str] = set()  # those that need not be kept any longer
        self.chain_ok = True

    async def load(self) -> None:
        """Take up what an earlier process has encrypted and may have sent."""
        async with self._database.transaction() as tx:
            self._sealed = set(await tx.crypto.all_sealed())

    async def send(self, room_id: str, content: Json, txn_id: str, event_type: str) -> str:
        """Encrypt and send; the event's id. SendRefused if we must not, MatrixError if it failed."""
        async with self._locks[room_id]:
            body = await self._kept(room_id, txn_id) or await self._seal(room_id, content, txn_id, event_type)
            try:
                event_id = await self._server.send(room_id, "m.room.encrypted", body, txn_id)
            except Rejected as error:
                if error.errcode not in NEVER:
                    raise
                self._sent.add(txn_id)
                raise SendRefused(error.errcode, permanent=True) from error
            self._sent.add(txn_id)
        log.info("message.sent event=%s", event_id)
        return event_id

    async def react(self, room_id: str, event_id: str, key: str, txn_id: str) -> str:
        """A reaction, in clear as the specification has it."""
        self._may_speak(room_id)
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self._server.send(room_id, "m.reaction", {"m.relates_to": relation}, txn_id)

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """Look for a message of this device among the room's recent events by its transaction id."""
        page = await self._server.messages(room_id, None, None, RECENT_EVENTS)
        for event in objects(page.get("chunk")):
            sent_as = obj(event.get("unsigned")).get("transaction_id")
            if event.get("sender") == self._machine.user_id and sent_as == txn_id:
                return text(event.get("event_id"))
        return None

    async def make_ready(self, room_id: str) -> None:
        """Bring the keys for the room's next message to all who may read it, ahead of need."""
        async with self._locks[room_id]:
            session = await self._sharing.prepare(await self._encrypted_room(room_id), self._own_master)
            async with self._machine.lock, self._database.transaction() as tx:
                await tx.crypto.change_outbound(session, *SHARED)

    async def close(self) -> None:
        """Forget what need not be kept any longer."""
        async with self._database.transaction() as tx:
            await self._forget_sent(tx)

    async def _kept(self, room_id: str, txn_id: str) -> str | None:
        """What was encrypted under this transaction id for this room: a direct room may be another by now."""
        if txn_id not in self._sealed:
            return None
        async with self._database.transaction() as tx:
            sealed = await tx.crypto.sealed(txn_id)
        return sealed.body if sealed and sealed.room_id == room_id else None

    async def _forget_sent(self, tx: Transaction) -> None:
        """With the next message: a transaction of its own would make every answer wait for it."""
        gone = set(self._sent)
        await tx.crypto.unseal(gone)
        self._sent -= gone
        self._sealed -= gone

    async def _seal(self, room_id: str, content: Json, txn_id: str, event_type: str) -> str:
        room = await self._encrypted_room(room_id)
        try:
            plaintext = canonical({"room_id": room_id, "type": event_type, "content": content})
        except Malformed as error:
            raise SendRefused("malformed", permanent=True) from error
        if len(plaintext) > LARGEST_CONTENT * 3 // 4:  # base64 adds a third
            raise SendRefused(TOO_LARGE, permanent=True)
        for _ in range(ATTEMPTS):
            session = await self._sharing.prepare(room, self._own_master)
            body = await self._encrypt(session, plaintext, content, txn_id)
            if body is not None:
                return body
        raise SendRefused("session_ended", permanent=False)

    def _may_speak(self, room_id: str) -> Room:
        if not self.chain_ok:
            # S34: whoever put a device or an identity on our account must not read what we say.
            raise SendRefused("own_chain", permanent=False)
        room = self._rooms.joined(room_id)
        if room is None:
            known = self._rooms.find(room_id)
            raise SendRefused("not_in_room", permanent=known is not None and known.invited_by is None)
        return room

    async def _encrypted_room(self, room_id: str) -> Room:
        room = self._may_speak(room_id)
        if room.algorithm is None:
            state = await self._server.state(room_id, "m.room.encryption")
            if state is not None:
                await self._remember(room_id, state)
        if not room.is_encrypted:
            # R11: nothing is ever said in clear.
            raise SendRefused("not_encrypted", permanent=True)
        return room

    async def _remember(self, room_id: str, state: Json) -> None:
        async with self._machine.lock, self._database.transaction() as tx:
            self._rooms.take_state(room_id, {"type": "m.room.encryption", "state_key": "", "content": state})
            await self._rooms.save(tx)

    async def _encrypt(
        self, session: OutboundSession, plaintext: bytes, content: Json, txn_id: str
    ) -> str | None:
        async with self._machine.lock, self._database.transaction() as tx:
            room = self._may_speak(session.room_id)
            if not await self._sharing.is_fit(tx, session, room, self._own_master):
                return None  # somebody has left, or a device is gone, while keys were on their way
            ciphertext = await self._megolm.encrypt(tx, session, plaintext)
            if ciphertext is None:
                return None
            sealed: Json = {
                "algorithm": MEGOLM,
                "ciphertext": ciphertext,
                "session_id": session.session_id,
                "sender_key": self._machine.curve25519,
                "device_id": self._machine.device_id,
            }
            if "m.relates_to" in content:
                sealed["m.relates_to"] = content["m.relates_to"]  # the homeserver groups threads and edits
            body = canonical(sealed).decode()
            # Ratchet and bytes commit together, before they leave.
            await tx.crypto.seal(SealedMessage(txn_id, session.room_id, body, clock.now()))
            await tx.crypto.change_outbound(session, *SHARED)
            await self._forget_sent(tx)
        self._sealed.add(txn_id)
        return body
