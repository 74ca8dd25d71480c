"""A verification under way: what is said to the other client, and what is written down for its owner."""

from dataclasses import dataclass
from datetime import datetime

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.sas import PREFIX, Code, Message, Sas
from bot.matrix.send import Sender
from bot.matrix.steps import Step
from bot.matrix.wire import Json, need
from storage.inbox import Received
from storage.transaction import Transaction
from storage.verifications import RUNNING, Verification


@dataclass
class Flow:
    """One verification under way; `sas` is None until the other device is known."""

    user_id: str
    transaction: str
    room_id: str | None
    device_id: str | None
    until: datetime
    sas: Sas | None = None
    is_shown: bool = False
    is_same: bool = False  # she has told us so

    @property
    def relation(self) -> Json:
        """What names the transaction in each message."""
        if self.room_id is None:
            return {"transaction_id": self.transaction}
        return {"m.relates_to": {"rel_type": "m.reference", "event_id": self.transaction}}


class Outgoing:
    """Carries messages to where the verification is: encrypted in its room, or from device to device."""

    def __init__(self, server: Homeserver, sender: Sender) -> None:
        self._server = server
        self._sender = sender

    async def say(self, flow: Flow, messages: list[Message]) -> None:
        """Say these, in order."""
        for kind, content in messages:
            if flow.room_id is not None:
                await self._sender.send(flow.room_id, content, clock.token(), f"{PREFIX}{kind}")
            elif flow.device_id is not None:
                to = {flow.user_id: {flow.device_id: content}}
                await self._server.send_to_device(f"{PREFIX}{kind}", to, clock.token())

    async def decline(self, step: Step, code: Code) -> None:
        """Say no at once: a client that gets no answer waits."""
        content: Json = {"code": code, "reason": code.removeprefix("m.")}
        if step.room_id is None:
            content["transaction_id"] = step.transaction
            to = {step.sender: {need(step.content.get("from_device")): content}}
            return await self._server.send_to_device(f"{PREFIX}cancel", to, clock.token())
        content["m.relates_to"] = {"rel_type": "m.reference", "event_id": step.transaction}
        # In clear, as clients do: who is declined has no keys, and there is nothing in it.
        await self._server.send(step.room_id, f"{PREFIX}cancel", content, clock.token())
        return None


async def keep(tx: Transaction, flow: Flow, event_id: str | None, now: datetime) -> None:
    """Write down that it runs, and what the answers to its owner are answers to."""
    row = Verification(
        flow.user_id, flow.room_id or "", event_id, flow.transaction, flow.device_id, RUNNING, now
    )
    await tx.verifications.put(row)


async def tell(tx: Transaction, flow: Flow, stage: str, now: datetime, **content: object) -> None:
    """An inbox row for its owner: `compare`, `done` or `cancelled`."""
    row = await tx.verifications.find(flow.user_id)
    content |= {"stage": stage, "target": row.event_id if row else None, "device_id": flow.device_id}
    event_id = f"verification:{clock.token()}"
    await tx.inbox.add(
        Received(event_id, flow.room_id or "", flow.user_id, "verification", content, now, now)
    )
