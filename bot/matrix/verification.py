"""Verification by emoji with members: whom to answer, what to send, and what is gained at the end.

The exchange itself is `sas.Sas`. Here it is bound to members and pins. Our side of it vouches for our keys as
soon as the other client has for its own: that client believes us by what its owner compared, and may give us
no keys before. What the bot itself gains waits for the pinned identity's word, `!verify yes`, encrypted.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.cross_signing import OwnIdentity
from bot.matrix.devices import Devices
from bot.matrix.errors import MatrixError, SignedOut
from bot.matrix.flows import Flow, Outgoing, keep, tell
from bot.matrix.olm import OlmMachine
from bot.matrix.sas import METHOD, Cancelled, Code, Party, Sas, Stage
from bot.matrix.send import Sender
from bot.matrix.steps import REQUEST, Step
from bot.matrix.trust import Circle, Identity, distrust
from bot.matrix.vouching import vouch_for
from bot.matrix.wire import Json, text, texts
from storage.members import ACTIVE
from storage.transaction import Database
from storage.verifications import ASKED, COMPARE, DIFFERENT, RUNNING, SAME, Verification

log = logging.getLogger(__name__)

LONGEST = timedelta(minutes=10)  # Matrix specification, "Key verification framework"
AHEAD = timedelta(minutes=5)  # the same: requests from the future are ignored
AT_ONCE = 20
REQUESTS = 5  # of one member within LONGEST; the rest is ignored (S31)
# Our own reasons, beside the specification's codes: to the other client they are its user's wish.
FAILED, RESTARTED, REPLACED, UNSAID = "failed", "restarted", "replaced", "unsaid"
KEPT = frozenset(Code)


class Verifier:
    """Runs beside the sync; state is in memory, but for who compares: after a crash that is given up."""

    def __init__(
        self,
        database: Database,
        server: Homeserver,
        machine: OlmMachine,
        devices: Devices,
        sender: Sender,
        circle: Circle,
        own: OwnIdentity,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._server = server
        self._devices = devices
        self._sender = sender
        self._out = Outgoing(server, sender)
        self._circle = circle
        self._own = own
        self._now = now
        self._party = Party(
            machine.user_id,
            machine.device_id,
            {
                f"ed25519:{machine.device_id}": machine.ed25519,
                f"ed25519:{own.master.public}": own.master.public,
            },
        )
        self._flows: dict[str, Flow] = {}
        self._requests: dict[str, deque[datetime]] = {}
        self._steps: deque[Step] = deque()
        self._woken = asyncio.Event()
        self._woken.set()
        self.ignored: Counter[str] = Counter()
        self.on_received: Callable[[], None] = lambda: None

    def hear(self, steps: Iterable[Step]) -> None:
        """These have arrived, and are committed."""
        self._steps.extend(steps)
        self._woken.set()

    def wake(self) -> None:
        """Somebody may have asked for one, or said what she sees."""
        self._woken.set()

    async def run(self) -> None:
        """For ever; ends by cancellation or when the homeserver has signed us out."""
        await self.give_up()
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            await self.work()

    def _pause(self) -> float | None:
        if not self._flows:
            return None
        first = min(flow.until for flow in self._flows.values())
        return max((first - self._now()).total_seconds(), 0.01)

    async def work(self) -> None:
        """All that there is to do now."""
        for flow in [each for each in self._flows.values() if each.until <= self._now()]:
            is_unsaid = flow.sas is not None and flow.sas.is_proven
            await self._safely(flow.user_id, self._cancel(flow, UNSAID if is_unsaid else Code.TIMEOUT))
        while self._steps:
            step = self._steps.popleft()
            await self._safely(step.sender, self._take(step))
        async with self._database.transaction() as tx:
            wishes = await tx.verifications.in_stage(ASKED, SAME, DIFFERENT)
        for wish in wishes:
            await self._safely(wish.user_id, self._fulfil(wish))

    async def _safely(self, user_id: str, work: Any) -> None:
        """Do it; whatever fails ends this person's verification and nothing else (R17)."""
        try:
            await work
        except SignedOut:
            raise
        except Cancelled as cancelled:
            await self._lost(self._flows.get(user_id), cancelled.code)
        except (SQLAlchemyError, OSError):
            raise  # the database is at fault
        except Exception as error:
            log.warning("verification.failed user=%s error=%s", user_id, type(error).__name__)
            await self._lost(self._flows.get(user_id), FAILED)
        except BaseException as error:
            # A panic inside vodozemac is no Exception; everything else, like cancellation, goes on.
            if type(error).__name__ != "PanicException":
                raise
            await self._lost(self._flows.get(user_id), FAILED)

    async def _lost(self, flow: Flow | None, code: str) -> None:
        if flow is None:
            return
        try:
            await self._cancel(flow, code)
        except SignedOut:
            raise
        except MatrixError as error:
            log.warning("cancel.unsent user=%s error=%s", flow.user_id, type(error).__name__)

    async def give_up(self) -> None:
        """What an earlier process had under way is told to be over: its keys went with it."""
        async with self._database.transaction() as tx:
            left = await tx.verifications.in_stage(RUNNING, COMPARE, SAME, DIFFERENT)
        for each in left:
            flow = Flow(
                each.user_id, each.transaction_id or "", each.room_id or None, each.device_id, self._now()
            )
            await self._safely(each.user_id, self._cancel(flow, RESTARTED))

    # what the other side says

    async def _take(self, step: Step) -> None:
        if step.kind == "request":
            return await self._requested(step)
        flow = self._flows.get(step.sender)
        if flow is None or (flow.transaction, flow.room_id) != (step.transaction, step.room_id):
            self.ignored["unknown"] += 1
            if step.kind == "start" and step.room_id is None and self._may_ask(step.sender):
                await self._out.decline(step, Code.UNKNOWN_TRANSACTION)
        elif step.kind == "cancel":
            code = text(step.content.get("code"))
            await self._over(flow, code if code in KEPT else Code.USER)
        elif step.kind == "ready":
            await self._ready(flow, step)
        elif flow.sas is None:
            raise Cancelled(Code.UNEXPECTED_MESSAGE)
        else:
            await self._out.say(flow, flow.sas.receive(step.kind, step.content))
            await self._look(flow, flow.sas)
        return None

    async def _requested(self, step: Step) -> None:
        if not self._is_fresh(step) or not self._may_ask(step.sender):
            self.ignored["request"] += 1
            return None
        if step.room_id is not None and step.content.get("to") != self._party.user_id:
            return None
        if METHOD not in texts(step.content.get("methods")):
            return await self._out.decline(step, Code.UNKNOWN_METHOD)
        party = await self._known(step.sender, step.content)
        if party is None or (len(self._flows) >= AT_ONCE and step.sender not in self._flows):
            return await self._out.decline(step, Code.USER)
        await self._lost(self._flows.get(step.sender), REPLACED)
        flow = Flow(step.sender, step.transaction, step.room_id, party.device_id, self._now() + LONGEST)
        flow.sas = Sas(self._party, party, flow.transaction, flow.relation)
        await self._keep(flow, step.event_id)
        ready = {"from_device": self._party.device_id, "methods": [METHOD], **flow.relation}
        await self._out.say(flow, [("ready", ready)])
        return None

    def _is_fresh(self, step: Step) -> bool:
        if step.sent_at is None:
            return False
        return self._now() - LONGEST < step.sent_at < self._now() + AHEAD

    def _may_ask(self, user_id: str) -> bool:
        """Whether this member has not asked too often lately; counts."""
        now, times = self._now(), self._requests.setdefault(user_id, deque(maxlen=REQUESTS))
        if len(times) == REQUESTS and now - times[0] < LONGEST:
            return False
        times.append(now)
        return True

    async def _known(self, user_id: str, content: Json) -> Party | None:
        """The device that a message names, if the pinned identity of an active member has signed it."""
        device_id = text(content.get("from_device"))
        await self._devices.refresh([user_id])
        async with self._database.transaction() as tx:
            standing = await self._circle.standing(tx, user_id)
            listed = (await tx.crypto.device_lists([user_id])).get(user_id)
        identity = Identity.of(user_id, listed.document) if listed else Identity(user_id)
        device = identity.devices.get(device_id or "")
        trusted = standing.state == ACTIVE and distrust(standing, identity) is None
        if device is None or not device.signed or not trusted or identity.master is None:
            return None
        keys = {f"ed25519:{device.device_id}": device.ed25519, f"ed25519:{identity.master}": identity.master}
        return Party(user_id, device.device_id, keys)

    async def _ready(self, flow: Flow, step: Step) -> None:
        """Our request was accepted; a second device of hers that does so too is not needed."""
        if flow.sas is not None:
            return
        if METHOD not in texts(step.content.get("methods")):
            raise Cancelled(Code.UNKNOWN_METHOD)
        party = await self._known(flow.user_id, step.content)
        if party is None:
            raise Cancelled(Code.KEY_MISMATCH)
        flow.device_id = party.device_id
        flow.sas = Sas(self._party, party, flow.transaction, flow.relation)
        await self._out.say(flow, flow.sas.start())

    # what our side says

    async def _fulfil(self, wish: Verification) -> None:
        flow = self._flows.get(wish.user_id)
        if wish.stage == ASKED:
            await self._ask(wish)
        elif flow is None or flow.sas is None:
            async with self._database.transaction() as tx:
                await tx.verifications.end(wish.user_id)
        elif wish.stage == DIFFERENT:
            await self._cancel(flow, Code.MISMATCHED_SAS)
        else:
            async with self._database.transaction() as tx:
                await tx.verifications.move(wish.user_id, RUNNING, was=SAME)
            flow.is_same = True
            await self._look(flow, flow.sas)

    async def _ask(self, wish: Verification) -> None:
        """Send the request that a member asked for with `!verify`."""
        await self._lost(self._flows.get(wish.user_id), REPLACED)
        flow = Flow(wish.user_id, "", wish.room_id, None, self._now() + LONGEST)
        self._flows[wish.user_id] = flow
        if wish.at + LONGEST <= self._now():
            return await self._over(flow, Code.TIMEOUT)
        content = {
            "msgtype": REQUEST,
            "body": "I ask to compare emoji with you; this client cannot do that.",
            "from_device": self._party.device_id,
            "methods": [METHOD],
            "to": wish.user_id,
        }
        named = f"verify-{wish.event_id}"  # asked again after a crash, it is the same event
        flow.transaction = await self._sender.send(wish.room_id, content, named, "m.room.message")
        await self._keep(flow, wish.event_id)
        return None

    async def _keep(self, flow: Flow, event_id: str | None) -> None:
        self._flows[flow.user_id] = flow
        async with self._database.transaction() as tx:
            await keep(tx, flow, event_id, self._now())

    async def _look(self, flow: Flow, sas: Sas) -> None:
        """Show the emoji once they are known; answer the proof; take what is proven and confirmed."""
        if sas.stage is Stage.COMPARE and not flow.is_shown:
            flow.is_shown = True
            async with self._database.transaction() as tx:
                await tx.verifications.move(flow.user_id, COMPARE, was=RUNNING)
                await tell(tx, flow, "compare", self._now(), emoji=list(sas.emoji))
            self.on_received()
        if sas.may_confirm:
            await self._out.say(flow, sas.confirm())
        if sas.is_proven and flow.is_same:
            await self._prove(flow, sas)

    async def _prove(self, flow: Flow, sas: Sas) -> None:
        """Client and owner have confirmed: the pin is verified, if it is still the one that was proven."""
        master = [key for name, key in sas.other.keys.items() if name == f"ed25519:{key}"][0]
        async with self._database.transaction() as tx:
            await tx.members.verify(flow.user_id, master, self._now())
            standing = await self._circle.standing(tx, flow.user_id)
            holds = (standing.state, standing.pin) == (ACTIVE, master)
            if holds:
                await tell(tx, flow, "done", self._now())
                await tx.verifications.end(flow.user_id)
        if not holds:
            return await self._over(flow, Code.KEY_MISMATCH)
        self._flows.pop(flow.user_id, None)
        self.on_received()
        log.info("verification.done user=%s", flow.user_id)
        try:
            await vouch_for(self._server, self._own, flow.user_id, master)
        except SignedOut:
            raise
        except MatrixError as error:
            # A courtesy to operators' clients: what the bot believes is in its own records.
            log.warning("signature.unsent user=%s error=%s", flow.user_id, type(error).__name__)
        return None

    # the end of it

    async def _cancel(self, flow: Flow, code: str) -> None:
        """End it, and say so to both the client and the person."""
        await self._over(flow, code)
        known = code if code in tuple(Code) else Code.USER
        content = {"code": known, "reason": known.removeprefix("m."), **flow.relation}
        if flow.transaction and not (flow.sas and flow.sas.is_proven):
            await self._out.say(flow, [("cancel", content)])

    async def _over(self, flow: Flow, code: str) -> None:
        if self._flows.get(flow.user_id) is flow:
            del self._flows[flow.user_id]
        async with self._database.transaction() as tx:
            await tell(tx, flow, "cancelled", self._now(), code=str(code))
            await tx.verifications.end(flow.user_id)
        self.on_received()
        log.info("verification.over user=%s code=%s", flow.user_id, code)
