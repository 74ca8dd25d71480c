"""The one door to Matrix: sign in, keep in step, send; what arrives goes to the inbox."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

from bot.kernel import clock
from bot.matrix.account import Account, Health
from bot.matrix.api import Homeserver
from bot.matrix.attachments import seal, unseal
from bot.matrix.cross_signing import CrossSigning
from bot.matrix.devices import Devices
from bot.matrix.errors import ForeignIdentity, MatrixError, SendRefused, SignedOut
from bot.matrix.identities import MEGOLM
from bot.matrix.invites import Invites
from bot.matrix.login import sign_in
from bot.matrix.megolm import Megolm
from bot.matrix.olm import OlmMachine
from bot.matrix.receive import Receiver
from bot.matrix.rooms import PRESENT, Rooms
from bot.matrix.secret_storage import store_identity
from bot.matrix.send import Sender
from bot.matrix.sharing import Sharing
from bot.matrix.sync import Sync
from bot.matrix.trust import Circle
from bot.matrix.upkeep import Upkeep
from bot.matrix.verification import Verifier
from bot.matrix.wire import Json, text
from storage.members import ACTIVE
from storage.transaction import Database

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=30)  # how long an event that cannot be decrypted waits for its key
SHOWN_WITHIN = 20.0  # seconds until the sync must show a room that we made or joined
RETRY = 5.0  # seconds
PUBLISHED = "published"


class Session:
    """One signed-in device; `on_received` is called after each commit that added inbox rows."""

    def __init__(
        self,
        database: Database,
        server: Homeserver,
        machine: OlmMachine,
        circle: Circle,
        signing: CrossSigning,
        patience: timedelta,
    ) -> None:
        """Use `open`."""
        self.user_id = machine.user_id
        self.device_id = machine.device_id
        self._database = database
        self._server = server
        self._machine = machine
        self._circle = circle
        self._signing = signing
        self._foreign: list[str] = []
        self._unchecked = False  # our own device list has changed, and the homeserver did not answer
        self._rooms = Rooms(machine.user_id)
        megolm = Megolm(machine.pickle_key)
        self._receiver = Receiver(machine, megolm, circle, patience)
        own = signing.own
        voucher = (own.user_id, own.user_signing.public) if own else None
        self._devices = devices = Devices(database, server, circle, self._rooms, machine.lock, voucher)
        sharing = Sharing(database, server, machine, megolm, devices, circle)
        master = own.master.public if own else ""
        self._sender = Sender(database, server, machine, megolm, sharing, self._rooms, master)
        self._sync = Sync(database, server, machine, devices, self._rooms, self._receiver, circle)
        self._sync.on_own_devices = self._check_self
        self._verifier: Verifier | None = None
        if circle.verifies and own is not None:
            self._verifier = Verifier(database, server, machine, devices, self._sender, circle, own)
            self._sync.on_steps = self._verifier.hear
        self._invites = Invites(database, server, machine, self._rooms)
        self._upkeep = Upkeep(database, self._rooms, self._receiver, self._sender, sharing, devices, circle)
        self._making_direct = asyncio.Lock()

    @classmethod
    async def open(
        cls, database: Database, account: Account, circle: Circle, patience: timedelta = PATIENCE
    ) -> "Session":
        """Sign in or restore; MatrixError, whose text is one line, if that is not to be had."""
        server = Homeserver(account.homeserver)
        try:
            user_id, device_id = await sign_in(database, server, account)
            machine = await OlmMachine.open(database, user_id, device_id)
            signing = CrossSigning(database, server, user_id)
            await _publish_device(database, server, machine)
            foreign = await signing.bootstrap(machine.device_keys, machine.sign, account.password)
            session = cls(database, server, machine, circle, signing, patience)
            session._alarm(foreign)
            await session._sync.load()
            await session._sender.load()
        except BaseException:
            await server.close()
            raise
        log.info("session.opened user=%s device=%s", user_id, device_id)
        return session

    @property
    def on_received(self) -> Callable[[], None]:
        """Called after each commit that added inbox rows."""
        return self._sync.on_received

    @on_received.setter
    def on_received(self, call: Callable[[], None]) -> None:
        self._sync.on_received = self._devices.on_received = call
        if self._verifier is not None:
            self._verifier.on_received = call

    async def run(self) -> None:
        """The sync loop; ends by cancellation or with a fatal MatrixError."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sync.run())
                group.create_task(self._sync.expire())
                for chore in (
                    self._check_again,
                    self._invites.answer_all,
                    self._upkeep.renew_channels,
                    self._upkeep.make_rooms_ready,
                    self._upkeep.meet_members,
                ):
                    group.create_task(self._after_rounds(chore))
                if self._verifier is not None:
                    group.create_task(self._verify(self._verifier))
        except* MatrixError as errors:
            fatal = errors.exceptions[0]
        else:
            return
        raise fatal

    async def _after_rounds(self, chore: Callable[[], Awaitable[bool]]) -> None:
        """Do the chore after each round of sync, and again soon if it could not be done."""
        await self.synced()
        while True:
            rounds = self._sync.rounds
            if not await chore():
                await asyncio.sleep(RETRY * clock.jitter(0.8, 1.2))
                continue
            await self._round_after(rounds)

    async def _verify(self, verifier: Verifier) -> None:
        """Nothing can be said before the first round."""
        await self.synced()
        await verifier.run()

    def look_at_verifications(self) -> None:
        """Somebody may have asked for one, or said what she sees: the record of them has changed."""
        if self._verifier is not None:
            self._verifier.wake()

    async def next_round(self) -> None:
        """Wait until one more round of sync is done."""
        await self._round_after(self._sync.rounds)

    async def _round_after(self, rounds: int) -> None:
        async with self._sync.round_done:
            await self._sync.round_done.wait_for(lambda: self._sync.rounds > rounds)

    async def synced(self) -> None:
        """Wait until the first round of sync is done."""
        await self._round_after(0)

    async def _check_self(self) -> None:
        """Our own device list changed: verify the whole chain anew (R2, S34)."""
        self._unchecked = True
        try:
            answer = await self._server.keys_query([self.user_id])
            self._alarm(self._signing.check(answer, self._machine.device_keys))
        except ForeignIdentity:
            self._alarm([self.device_id])
            self._sender.chain_ok = False
        except SignedOut:
            raise
        except MatrixError as error:
            log.warning("chain.unchecked error=%s", type(error).__name__)
            return
        self._unchecked = False

    async def _check_again(self) -> bool:
        """A check that the homeserver did not answer is made until it does."""
        if self._unchecked:
            await self._check_self()
        return not self._unchecked

    def _alarm(self, foreign: list[str]) -> None:
        self._foreign = foreign
        self._sender.chain_ok = not foreign or not self._circle.alone_on_account
        if not self._sender.chain_ok:
            log.error("chain.broken user=%s devices=%s", self.user_id, len(foreign))

    async def send(
        self, room_id: str, content: dict[str, Any], txn_id: str, event_type: str = "m.room.message"
    ) -> str:
        """Encrypt and send; the event's id. The same `txn_id` sends the same bytes again.

        Waits until the first round of sync has told who is there now and whose devices have changed (R9).
        SendRefused if we must not send this, another MatrixError if it failed and may be tried again.
        """
        await self.synced()
        return await self._sender.send(room_id, content, txn_id, event_type)

    async def react(self, room_id: str, event_id: str, key: str, txn_id: str) -> str:
        """React to an event, in clear as the specification has it."""
        return await self._sender.react(room_id, event_id, key, txn_id)

    async def upload(self, content: bytes) -> Json:
        """Encrypt a file and put it on the homeserver: the `file` of a message, with the key in it."""
        ciphertext, file = seal(content)
        return file | {"url": await self._server.upload(ciphertext)}

    async def download(self, file: Json, largest: int) -> bytes:
        """The file that a message speaks of; Malformed if it is not that, Rejected if it is too large."""
        return unseal(await self._server.download(text(file.get("url")) or "", largest), file)

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """The event that this device sent under this transaction id lately, if it is in the room."""
        return await self._sender.find_sent(room_id, txn_id)

    async def direct_room(self, user_id: str) -> str:
        """The encrypted direct room with this person; made, and the person invited, if there is none."""
        async with self._making_direct:
            async with self._database.transaction() as tx:
                kept = await tx.rooms.direct(user_id)
            room = self._rooms.joined(kept.room_id) if kept else None
            alone = room is not None and set(room.members) <= {self.user_id, user_id}
            if room and alone and room.is_encrypted and room.members.get(user_id) in PRESENT:
                return room.room_id
            body = _room_body(None, [user_id], encrypted=True) | {"is_direct": True}
            room_id = await self._server.create_room(body)
            async with self._database.transaction() as tx:
                await tx.rooms.join(room_id, direct_with=user_id)
            await self._until_joined(room_id, [user_id])
            return room_id

    async def create_room(
        self, name: str | None = None, invite: Iterable[str] = (), *, encrypted: bool = True
    ) -> str:
        """Make a private room; its id."""
        invited = list(invite)
        room_id = await self._server.create_room(_room_body(name, invited, encrypted=encrypted))
        await self._until_joined(room_id, invited)
        return room_id

    async def join(self, room_id: str) -> None:
        """Join a room that we are invited to."""
        await self._server.join(room_id)
        await self._until_joined(room_id)

    async def _until_joined(self, room_id: str, others: Iterable[str] = ()) -> None:
        """Wait until the sync shows the room and these others in it, as keys go to those who are known."""

        def shown() -> bool:
            room = self._rooms.joined(room_id)
            return room is not None and set(others) <= set(room.members)

        try:
            async with asyncio.timeout(SHOWN_WITHIN), self._sync.round_done:
                await self._sync.round_done.wait_for(shown)
        except TimeoutError:
            raise SendRefused("room_not_shown", permanent=False) from None

    async def leave(self, room_id: str) -> None:
        """Leave a room or decline its invite."""
        await self._server.leave(room_id)

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite someone to a room we are in."""
        await self._server.invite(room_id, user_id)

    async def set_display_name(self, name: str) -> None:
        """The name that officers see."""
        await self._server.set_display_name(self.user_id, name)

    async def make_recovery_key(self) -> str:
        """Put our identity into secret storage under a new recovery key; the key's text, shown once."""
        if self._signing.own is None:
            raise ForeignIdentity("there is no identity to store yet; sign in first")
        return await store_identity(self._server, self._signing.own)

    @property
    def chain_ok(self) -> bool:
        """Whether our own chain holds and nobody else's device is on our account; if not, we do not send."""
        return self._sender.chain_ok

    @property
    def state(self) -> str:
        """How the sync is: starting, syncing, unreachable or ended."""
        return self._sync.state

    def members(self, room_id: str) -> dict[str, str]:
        """Who is in the room now: user id to `join` or `invite`; empty if we are not in it."""
        room = self._rooms.joined(room_id)
        return dict(room.members) if room is not None else {}

    async def unknown_members(self, room_id: str) -> list[str]:
        """Those in the room, joined or invited, who are not active members of the circle."""
        users = sorted(set(self.members(room_id)) - {self.user_id})
        async with self._database.transaction() as tx:
            standings = await self._circle.standings(tx, users)
        return [user for user in users if standings[user].state != ACTIVE]

    async def health(self) -> Health:
        """What an operator should know."""
        async with self._database.transaction() as tx:
            violations, awaited = await tx.crypto.violations(), len(await tx.crypto.awaited())
        return Health(
            self._sync.state,
            self._sync.last_at,
            self._sender.chain_ok,
            tuple(self._foreign),
            self._sync.one_time_keys,
            self._sync.fallback_published,
            self._receiver.undecryptable,
            awaited,
            tuple(violations),
            dict(self._receiver.refused),
            dict(self._receiver.dropped),
            self._server.skew,
        )

    async def close(self) -> None:
        """End the connections; a running `run` must have been cancelled before."""
        try:
            await self._sender.close()
        finally:
            await self._server.close()


async def _publish_device(database: Database, server: Homeserver, machine: OlmMachine) -> None:
    """A new device's first keys, a fallback key among them; later ones are published as the sync asks."""
    async with database.transaction() as tx:
        if await tx.crypto.value(PUBLISHED) is not None:
            return
        body = await machine.keys_to_publish(tx, on_server=0, fallback_used=True)
    await server.keys_upload(body)
    async with database.transaction() as tx:
        await machine.keys_were_published(tx)
        await tx.crypto.set_value(PUBLISHED, b"1")


def _room_body(name: str | None, invite: list[str], *, encrypted: bool) -> Json:
    body: Json = {"preset": "private_chat", "visibility": "private", "invite": invite}
    if name is not None:
        body["name"] = name
    if encrypted:
        encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}}
        body["initial_state"] = [encryption]
    return body
