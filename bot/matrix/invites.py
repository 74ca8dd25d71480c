"""Answers to invites, after the commit that decided them; a plaintext room is told why, and left."""

import logging

from bot.matrix.api import Homeserver
from bot.matrix.errors import MatrixError, Rejected, SignedOut
from bot.matrix.olm import OlmMachine
from bot.matrix.rooms import LEFT, Room, Rooms
from bot.matrix.timeline import EXPLAIN, JOIN
from storage.transaction import Database

log = logging.getLogger(__name__)

# The one thing the bot ever says in clear; there is no way to say it encrypted.
EXPLANATION = (
    "This room is not encrypted, so I cannot work here. Turn on encryption, then invite me again.\n"
    "Ce salon n’est pas chiffré : je ne peux pas y travailler. Activez le chiffrement, puis invitez-moi"
    " de nouveau."
)


class Invites:
    """Carries out what `Timeline.invited` decided."""

    def __init__(self, database: Database, server: Homeserver, machine: OlmMachine, rooms: Rooms) -> None:
        self._database = database
        self._server = server
        self._machine = machine
        self._rooms = rooms

    async def answer_all(self) -> bool:
        """Answer what is open; False if some must be tried again."""
        done = True
        for room in self._rooms.all():
            if room.answer is not None:
                done &= await self._answer(room)
        return done

    async def _answer(self, room: Room) -> bool:
        answer = room.answer
        try:
            await self._carry_out(room.room_id, answer)
        except SignedOut:
            raise
        except Rejected as error:
            # Withdrawn, or the room is gone: there is nothing left to answer.
            log.warning("invite.gone room=%s errcode=%s", room.room_id, error.errcode)
        except MatrixError:
            return False
        await self._keep_answered(room.room_id, answer)
        log.info("invite.answered room=%s answer=%s", room.room_id, answer)
        return True

    async def _carry_out(self, room_id: str, answer: str | None) -> None:
        if answer in (JOIN, EXPLAIN):
            await self._server.join(room_id)
        if answer == EXPLAIN:
            content = {"msgtype": "m.notice", "body": EXPLANATION}
            await self._server.send(room_id, "m.room.message", content, f"plain-{room_id}")
        if answer != JOIN:
            await self._server.leave(room_id)

    async def _keep_answered(self, room_id: str, answer: str | None) -> None:
        """Nothing is open any more, unless the room was decided about anew meanwhile."""
        async with self._machine.lock, self._database.transaction() as tx:
            known = self._rooms.find(room_id)
            if known is not None and known.answer == answer:
                changed = self._rooms.change(room_id)
                changed.answer = None
                if answer != JOIN:
                    changed.membership = LEFT
                await self._rooms.save(tx)
