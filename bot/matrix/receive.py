"""What arrives: room keys are kept, events are decrypted and judged, and become inbox rows."""

import logging
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError

from bot.kernel import clock
from bot.matrix.identities import MEGOLM
from bot.matrix.megolm import Megolm, TooEarly, owner_of
from bot.matrix.olm import OlmMachine, OlmPayload, Unopened
from bot.matrix.rows import NotAllowed, read_payload, read_reaction, read_redaction
from bot.matrix.steps import Step, Waiting, between_devices, in_room, is_step
from bot.matrix.trust import Circle, Identity, Reason, Standing, Verdict, decide, device_with
from bot.matrix.wire import Json, Malformed, need, number, obj, parse_plaintext, text
from storage.crypto import AwaitedEvent, DeviceList, InboundSession
from storage.inbox import Received
from storage.members import ACTIVE, SUSPENDED
from storage.transaction import Transaction

log = logging.getLogger(__name__)

LONGEST_CIPHERTEXT = 128 * 1024
# Reasons that may be gone when a key or a device list that is on its way has come.
PASSING = (Reason.SENDER_MISMATCH, Reason.UNKNOWN_DEVICE)


class Receiver:
    """Judges what arrives; every method runs within the transaction that also moves the sync token."""

    def __init__(self, machine: OlmMachine, megolm: Megolm, circle: Circle, patience: timedelta) -> None:
        self._machine = machine
        self._megolm = megolm
        self._circle = circle
        self._patience = patience
        self.refused: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.verification = Waiting()
        self.undecryptable = 0
        self.may_await = True  # whether an event may be waiting for its key
        self.broken: set[tuple[str, str]] = set()  # user and Curve25519 key whose Olm message did not open
        self.added = 0

    async def safely(self, tx: Transaction, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Do one piece of work; whatever is wrong with it harms neither its neighbours nor the loop (R17)."""
        try:
            async with tx.connection.begin_nested():
                await work
        except (OperationalError, InterfaceError):
            raise  # the database is at fault, not what was received
        except Exception as error:
            self._drop(what, error)
        except BaseException as error:
            # A panic inside vodozemac is no Exception; everything else, like cancellation, goes on.
            if type(error).__name__ != "PanicException":
                raise
            self._drop(what, error)
        finally:
            work.close()  # a cancellation may have come before it began

    def _drop(self, what: str, error: BaseException) -> None:
        self.dropped[what] += 1
        log.warning("%s.dropped error=%s", what, type(error).__name__)

    async def to_device(self, tx: Transaction, event: Json, opened: set[tuple[str, str]]) -> None:
        """One to-device message; a room key adds its room and session to `opened`.

        Only `m.room.encrypted` counts: a room key in clear, a forwarded one and requests for ours are
        ignored (R18). Verifications may come in clear: what they prove, they prove by themselves.
        """
        kind = event.get("type")
        if kind != "m.room.encrypted":
            sender = text(event.get("sender")) or ""
            if is_step(kind, {}) and await self._is_member(tx, sender):
                self._hear(between_devices(sender, str(kind), obj(event.get("content"))))
            return
        try:
            payload = await self._machine.decrypt(tx, event)
            await self._check_sender(tx, payload)
            if payload.kind == "m.room_key":
                opened.add(await self._megolm.accept(tx, payload))
            elif is_step(payload.kind, {}) and await self._is_member(tx, payload.owner.user_id):
                self._hear(between_devices(payload.owner.user_id, payload.kind, payload.content))
        except ValueError as error:
            if isinstance(error, Unopened):
                self.broken.add((need(event.get("sender")), error.sender_key))
            self._drop("to_device", error)  # caught here, so that a ratchet that moved on is kept

    async def _is_member(self, tx: Transaction, user_id: str) -> bool:
        return self._circle.verifies and (await self._circle.standing(tx, user_id)).state == ACTIVE

    def _hear(self, step: Step) -> None:
        """A step of a verification, by an active member; whether its keys are good is looked at later."""
        if not self.verification.add(step):
            self.dropped["verification"] += 1

    async def _check_sender(self, tx: Transaction, payload: OlmPayload) -> None:
        known = (await tx.crypto.device_lists([payload.owner.user_id])).get(payload.owner.user_id)
        if known is None or known.outdated:
            return  # judged again, against the list, with every event that the key opens
        if device_with(Identity.of(known.user_id, known.document), payload.owner) is None:
            raise Malformed("an Olm message from keys that are no device of its sender")

    async def event(self, tx: Transaction, room_id: str, event: Json) -> None:
        """One event of a room we are in that is not a state event."""
        sender, kind = need(event.get("sender")), event.get("type")
        need(event.get("event_id"))
        if sender == self._machine.user_id:
            return
        if kind == "m.room.encrypted":
            await self._encrypted(tx, room_id, event, clock.now())
        elif is_step(kind, obj(event.get("content"))) and await self._is_member(tx, sender):
            content = obj(event.get("content"))
            self._hear(in_room(room_id, event, kind, content, content))
        elif kind == "m.room.message":
            if obj(event.get("content")).get("msgtype") != "m.notice":
                await self.refuse(tx, room_id, event, Reason.CLEAR_TEXT)
        elif kind in ("m.reaction", "m.room.redaction"):
            await self._clear(tx, room_id, event, kind == "m.reaction")

    async def _clear(self, tx: Transaction, room_id: str, event: Json, reaction: bool) -> None:
        standing = await self._circle.standing(tx, event["sender"])
        if (reason := _no_member(standing)) is not None:
            return await self.refuse(tx, room_id, event, reason)
        row = read_reaction(obj(event.get("content")), unsigned=True) if reaction else read_redaction(event)
        if row is not None:
            await self._add(tx, room_id, event, *row)
        return None

    async def _encrypted(
        self, tx: Transaction, room_id: str, event: Json, since: datetime, final: bool = False
    ) -> None:
        content, sender = obj(event.get("content")), event["sender"]
        if not content:
            return None  # redacted
        standing = await self._circle.standing(tx, sender)
        if (reason := _no_member(standing)) is not None:
            return await self.refuse(tx, room_id, event, reason)
        if "state_key" in event:
            return await self.refuse(tx, room_id, event, Reason.STATE_IN_CIPHERTEXT)
        session_id = text(content.get("session_id"))
        ciphertext = text(content.get("ciphertext"), LONGEST_CIPHERTEXT)
        if content.get("algorithm") != MEGOLM or session_id is None or ciphertext is None:
            return await self.refuse(tx, room_id, event, Reason.MALFORMED)
        chosen = await self._choose(tx, room_id, session_id, sender, standing)
        if chosen is None or (chosen[1].reason in PASSING and not final):
            return await self._wait(tx, room_id, session_id, event, since, final)
        session, verdict = chosen
        if verdict.device is None or verdict.reason is not None:
            device_id = verdict.device.device_id if verdict.device else None
            return await self.refuse(tx, room_id, event, verdict.reason or Reason.UNKNOWN_DEVICE, device_id)
        try:
            await self._open(tx, event, session, ciphertext, verdict.device.device_id)
        except TooEarly:
            await self._wait(tx, room_id, session_id, event, since, final)
        return None

    async def _choose(
        self, tx: Transaction, room_id: str, session_id: str, sender: str, standing: Standing
    ) -> tuple[InboundSession, Verdict] | None:
        """The session to try and the verdict on it: one that is believed, else the nearest to it."""
        known = (await tx.crypto.device_lists([sender])).get(sender)
        identity = Identity.of(sender, known.document) if known else Identity(sender)
        sessions = await tx.crypto.inbound(room_id, session_id)
        judged = [(session, decide(sender, standing, identity, owner_of(session))) for session in sessions]
        judged.sort(key=lambda pair: (pair[1].reason is not None, pair[1].reason is Reason.SENDER_MISMATCH))
        if not judged or (known is None and judged[0][1].reason is not Reason.SENDER_MISMATCH):
            return None
        return judged[0]

    async def _open(
        self, tx: Transaction, event: Json, session: InboundSession, ciphertext: str, device_id: str
    ) -> None:
        room_id, event_id = session.room_id, event["event_id"]
        try:
            plain, index = self._megolm.decrypt(session, ciphertext)
            # The index is taken before anything is done with the plaintext: a replay finds it gone (S11).
            if await tx.crypto.take_index(session, index, event_id) != event_id:
                raise NotAllowed(Reason.REPLAYED)
            payload = parse_plaintext(plain)
            row = read_payload(payload, room_id, device_id, self._circle.hears_notices)
            kind, content = payload.get("type"), payload["content"]
            if self._circle.verifies and is_step(kind, content):
                step = in_room(room_id, event, kind, content, obj(event.get("content")))
                return self._hear(step)
        except TooEarly:
            raise
        except NotAllowed as error:
            return await self.refuse(tx, room_id, event, error.reason, device_id)
        except ValueError:
            return await self.refuse(tx, room_id, event, Reason.MALFORMED, device_id)
        if row is not None:
            await self._add(tx, room_id, event, *row)
        return None

    async def _wait(
        self, tx: Transaction, room_id: str, session_id: str, event: Json, since: datetime, final: bool
    ) -> None:
        if not final:
            log.info("event.awaited event=%s session=%s", event["event_id"], session_id)
            self.may_await = True
            await tx.crypto.await_event(AwaitedEvent(event["event_id"], room_id, session_id, event, since))
            return
        self.undecryptable += 1
        lists = await tx.crypto.device_lists([event["sender"]])
        device_id = device_named(event, lists.get(event["sender"]))
        await self._add(
            tx, room_id, event, "undecryptable", {"device_id": device_id, "session_id": session_id}
        )

    async def retry(self, tx: Transaction, opened: set[tuple[str, str]], senders: set[str]) -> None:
        """Try the waiting events again whose key has come or whose sender's devices were asked for."""
        for awaited in await tx.crypto.awaited():
            if (awaited.room_id, awaited.session_id) in opened or awaited.event.get("sender") in senders:
                await self._again(tx, awaited, final=False)

    async def expire(self, tx: Transaction) -> timedelta | None:
        """Give up on events that have waited long enough; how long until the next is due (None: none)."""
        for awaited in await tx.crypto.awaited():
            left = awaited.received_at + self._patience - clock.now()
            if left > timedelta(0):
                return left
            await self._again(tx, awaited, final=True)
        return None

    async def _again(self, tx: Transaction, awaited: AwaitedEvent, final: bool) -> None:
        await tx.crypto.stop_awaiting(awaited.event_id)
        work = self._encrypted(tx, awaited.room_id, awaited.event, awaited.received_at, final)
        await self.safely(tx, "event", work)

    async def refuse(
        self, tx: Transaction, room_id: str, event: Json, reason: Reason, device_id: str | None = None
    ) -> None:
        """A row that says what was not acted on, and why; none of its content."""
        content = {
            "reason": reason.value,
            "device_id": device_id,
            "event_type": text(event.get("type")) or "unknown",
        }
        if await self._add(tx, room_id, event, "refused", content):
            self.refused[reason.value] += 1
            log.warning("event.refused event=%s reason=%s", event.get("event_id"), reason.value)

    async def _add(self, tx: Transaction, room_id: str, event: Json, kind: str, content: Json) -> bool:
        return await self.add_row(
            tx, event["event_id"], room_id, event["sender"], kind, content, _sent_at(event)
        )

    async def add_row(
        self,
        tx: Transaction,
        event_id: str,
        room_id: str,
        sender: str,
        kind: str,
        content: Json,
        sent_at: datetime | None = None,
    ) -> bool:
        """Add an inbox row; False if the event has one already."""
        now = clock.now()
        row = Received(event_id, room_id, sender, kind, content, sent_at or now, now)
        added = await tx.inbox.add(row)
        self.added += added
        return added


def device_named(event: Json, known: DeviceList | None) -> str | None:
    """The device that an event names in clear, if its sender has it: anyone can make up another name."""
    named = text(obj(event.get("content")).get("device_id"))
    devices = Identity.of(known.user_id, known.document).devices if known else {}
    return named if named in devices else None


def _no_member(standing: Standing) -> Reason | None:
    if standing.state == ACTIVE:
        return None
    return Reason.SUSPENDED if standing.state == SUSPENDED else Reason.NOT_ENROLLED


def _sent_at(event: Json) -> datetime | None:
    stamp = number(event.get("origin_server_ts"))
    try:
        return None if stamp is None else datetime.fromtimestamp(stamp / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
