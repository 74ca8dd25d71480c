"""Incidents: all that comes besides commands: reactions, edits, refused input, people and rooms."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from bot.kernel.card import Card, Code, Strong, card, line
from bot.kernel.language import Text, ToType, t
from bot.kernel.room_care import troubles
from bot.kernel.vocabulary import Capability, Post, Reaction, Ref, Role, Unmoved
from bot.kernel.words import grouped
from bot.runtime.incoming import words_of
from bot.runtime.lines import command_start
from bot.runtime.posting import Origin, Poster
from bot.runtime.verifications import entry_of, said_of
from storage.audit import OK, REFUSED, Entry
from storage.inbox import Received
from storage.members import ACTIVE, REMOVED, Member
from storage.rooms import Room
from storage.transaction import Transaction

DAY = timedelta(days=1)
# Domain section 0: the reactions that mean something, so that nobody is lectured about a smile.
MEANT = frozenset("✅❔❌👀🆘⏱🔁")
_VARIATION = "\ufe0f"


class Incidents:
    """Handles inbox rows of every kind but `message`."""

    def __init__(
        self,
        capabilities: Iterable[Capability],
        own_id: str,
        names: tuple[str, ...],
        poster: Callable[[Transaction, datetime], Poster],
    ) -> None:
        self._reactions = {
            each.prefix: each.reaction for each in capabilities if each.prefix and each.reaction
        }
        self._own_id = own_id
        self._names = names
        self._poster = poster
        self._kinds = {
            "edit": self._edit,
            "reaction": self._reaction,
            "redaction": self._redaction,
            "refused": self._refused,
            "undecryptable": self._undecryptable,
            "joined": self._joined,
            "member": self._member,
            "settings": self._settings,
            "left": self._left,
            "violation": self._violation,
            "device": self._device,
            "verification": self._verification,
            "identity": self._identity,
        }

    async def handle(self, tx: Transaction, row: Received, now: datetime) -> None:
        """The effect of one row; a kind that is not known is an error."""
        await self._kinds[row.kind](tx, row, now)

    # messages that are changed or reacted to

    async def _edit(self, tx: Transaction, row: Received, now: datetime) -> None:
        member, room, origin = await self._asker(tx, row, now)
        original = await tx.inbox.find(row.content["target"])
        if member is None or room is None or origin is None:
            return
        if original and (original.kind != "message" or original.sender != row.sender):
            await tx.audit.add(_entry(row, now, "message.edit", REFUSED, reason_code="not_the_author"))
            return
        written = [words_of(each.content) for each in (original, row) if each]
        if all(command_start(typed, room.prefix, self._names) is None for typed in written):
            return
        await tx.audit.add(_entry(row, now, "message.edit", REFUSED, reason_code="edited"))
        await self._poster(tx, now).say(t("I do not run edited commands. Send it anew."), origin)

    async def _reaction(self, tx: Transaction, row: Received, now: datetime) -> None:
        await self._react(tx, row, now, row.content, removed=False)

    async def _redaction(self, tx: Transaction, row: Received, now: datetime) -> None:
        """A reaction that is taken back is withdrawn; a command that is redacted stays done."""
        gone = await tx.inbox.find(row.content["target"])
        if gone is None or gone.sender != row.sender:
            return
        if gone.kind == "reaction":
            await self._react(tx, row, now, gone.content, removed=True)
        elif gone.kind == "message":
            await tx.audit.add(_entry(row, now, "message.redact"))

    async def _react(
        self, tx: Transaction, row: Received, now: datetime, content: dict[str, Any], *, removed: bool
    ) -> None:
        member, room, origin = await self._asker(tx, row, now)
        about = await tx.outbox.about(content["target"], row.room_id)
        handler = self._reactions.get(about[:1]) if about else None
        key = str(content["key"]).replace(_VARIATION, "")
        if about is None or handler is None or origin is None or room is None or key not in MEANT:
            return
        if member is None:
            await tx.audit.add(
                _entry(row, now, "reaction", REFUSED, object=about, reason_code="not_enrolled")
            )
            return
        poster = self._poster(tx, now)
        # Where reactions are off, the capability says what to type instead; it changes nothing.
        event_id = row.content["target"] if removed else row.event_id
        reaction = Reaction(tx, member, room, now, key, Ref(about), event_id, removed)
        came = await handler(reaction)
        reason = came.code if isinstance(came, Unmoved) else None if room.reactions else "reactions_off"
        await poster.say(came.said if isinstance(came, Unmoved) else came, origin)
        outcome = {"outcome": REFUSED, "reason_code": reason} if reason else {}
        await tx.audit.add(_entry(row, now, "reaction", object=about, agency=member.agency, **outcome))

    # input that did not count

    async def _refused(self, tx: Transaction, row: Received, now: datetime) -> None:
        reason = str(row.content["reason"])
        await tx.audit.add(_entry(row, now, "input", REFUSED, reason_code=reason))
        member, _, origin = await self._asker(tx, row, now)
        if member is None or origin is None:
            return
        device = str(row.content.get("device_id") or "?")
        said = _REASONS.get(reason)
        if said and await tx.notices.claim(f"{reason} {row.sender} {device}", now, DAY):
            text = Text(said.one, {"device": device, "command": ToType("!member verify")})
            await self._poster(tx, now).say(text, origin)
        if reason == "identity_changed":
            await self._tell_of_identity(tx, row.sender, now)

    async def _undecryptable(self, tx: Transaction, row: Received, now: datetime) -> None:
        device = str(row.content.get("device_id") or "?")
        await tx.audit.add(_entry(row, now, "input", REFUSED, reason_code="undecryptable"))
        member, _, origin = await self._asker(tx, row, now)
        if member is None or origin is None:
            return
        if await tx.notices.claim(f"undecryptable {row.sender} {device}", now, DAY):
            said = t("I could not decrypt your message: its key did not reach me. Please send it again.")
            await self._poster(tx, now).say(said, origin)

    async def _violation(self, tx: Transaction, row: Received, now: datetime) -> None:
        user_id = str(row.content["user_id"])
        await tx.audit.add(
            _entry(row, now, "identity", REFUSED, reason_code="identity_changed", object=user_id)
        )
        await self._tell_of_identity(tx, user_id, now)

    async def _device(self, tx: Transaction, row: Received, now: datetime) -> None:
        """A device of a member that does not count: new and not verified, or with other keys than before."""
        user_id, device = str(row.content["user_id"]), str(row.content["device_id"])
        reason = str(row.content["reason"])
        await tx.audit.add(_entry(row, now, "device", REFUSED, reason_code=reason, object=user_id))
        # A device that its owner has yet to verify is daily life: she is told when she uses it.
        if reason == "device_changed" and await tx.notices.claim(f"device {user_id} {device}", now, DAY):
            warning = card(
                t(
                    "A device of {user} shows other keys than before: {device}."
                    " I neither hear it nor give it keys.",
                    user=user_id,
                    device=device,
                ),
                t("Telephone that person. If they know nothing of it, somebody meddles with the homeserver."),
            )
            await self._warn(tx, warning, user_id, now)

    async def _tell_of_identity(self, tx: Transaction, user_id: str, now: datetime) -> None:
        """Tell admins and supervisors, each once a day, whose identity is not the pinned one."""
        if not await tx.notices.claim(f"identity {user_id}", now, DAY):
            return
        warning = card(
            t("{user} has another identity than the one enrolled. I take no commands from it.", user=user_id),
            t("Telephone that person. If they did it themselves, two of you compare the new fingerprint:"),
            line(ToType(f"!member verify {user_id}")),
        )
        await self._warn(tx, warning, user_id, now)

    async def _warn(self, tx: Transaction, warning: Card, about: str, now: datetime) -> None:
        """Tell admins and supervisors, but not the person whom it is about."""
        told = [
            each.user_id
            for role in (Role.ADMIN, Role.SUPERVISOR)
            for each in await tx.members.holders(role.value, now)
        ]
        for each in dict.fromkeys(told):
            if each != about:
                await self._poster(tx, now).direct(warning, each, rings=True)

    async def _verification(self, tx: Transaction, row: Received, now: datetime) -> None:
        entry, said = entry_of(row, now), said_of(row.content)
        if entry is not None:
            await tx.audit.add(entry)
        member, _, origin = await self._asker(tx, row, now)
        if said is None or (member is None and row.room_id):
            return
        if origin is None:
            await self._poster(tx, now).direct(said, row.sender)
        else:
            await self._poster(tx, now).say(said, origin)

    async def _identity(self, tx: Transaction, row: Received, now: datetime) -> None:
        """Tell whoever enrolled a member, where they did, which identity was pinned: to compare it."""
        member = await tx.members.find(str(row.content["user_id"]))
        if member is None or member.master_key != row.content["identity"]:
            return
        shown = card(
            t("The homeserver shows me {user}. I have pinned this identity:", user=member.user_id),
            line(Code(grouped(member.master_key or ""))),
            t("Compare it with them by telephone, group by group."),
        )
        enroller = await tx.members.find(member.enrolled_by)
        asked = await self._enrolment(tx, member.user_id)
        room = await tx.rooms.find(asked.room_id) if asked else None
        poster = self._poster(tx, now)
        if enroller is None or enroller.state != ACTIVE:
            return
        if asked is None or room is None or not room.is_reached:
            await poster.direct(shown, enroller.user_id)
            return
        origin = Origin(room, enroller.user_id, asked.event_id, poster.voices(enroller, room))
        await poster.say(Post(shown, about=member.user_id), origin)

    async def _enrolment(self, tx: Transaction, user_id: str) -> Received | None:
        """The message that enrolled this member last."""
        changes = [each for each in await tx.transitions.of(user_id) if each.object == user_id]
        enrolled = [
            each for each in changes if each.to_state == ACTIVE and each.from_state in (None, REMOVED)
        ]
        event_id = enrolled[-1].event_id if enrolled else None
        return await tx.inbox.find(event_id) if event_id else None

    # people and rooms

    async def _joined(self, tx: Transaction, row: Received, now: datetime) -> None:
        await tx.audit.add(_entry(row, now, "room.join"))
        room = await tx.rooms.find(row.room_id)
        if room is None:
            return
        poster = self._poster(tx, now)
        if room.direct_with:
            hello = t("Hello. {command} shows what you may do here.", command=ToType("!help"))
            await poster.post(card(hello), room)
            return
        strangers = await tx.rooms.strangers(row.room_id)
        lines = [
            t(
                "I am here. For me to work in this room, an admin types {command}",
                command=ToType("!room serve NAME"),
            )
        ]
        if strangers:
            lines.append(t("Not enrolled, so they get no keys from me: {users}", users=tuple(strangers)))
        await poster.post(card(*lines), room)

    async def _member(self, tx: Transaction, row: Received, now: datetime) -> None:
        user_id = str(row.content["user_id"])
        room = await tx.rooms.find(row.room_id)
        # The round that showed the newcomer has ended the room's privacy; an invite has not yet.
        was_direct = row.content.get("direct_with") or (room and room.direct_with)
        if room and was_direct and user_id not in (was_direct, self._own_id):
            await self._no_longer_private(tx, row, room, now)
            return
        if row.content["membership"] != "join" or room is None or not room.served or user_id == self._own_id:
            return
        member = await tx.members.find(user_id)
        if member and member.state == ACTIVE:
            return
        await tx.audit.add(
            _entry(row, now, "room.stranger", REFUSED, reason_code="not_enrolled", object=user_id)
        )
        await self._say_troubles(tx, room, now)

    async def _settings(self, tx: Transaction, row: Received, now: datetime) -> None:
        """Somebody has changed who may read or join: say so if it is not well."""
        room = await tx.rooms.find(row.room_id)
        if room is not None and room.served:
            await tx.audit.add(_entry(row, now, "room.settings"))
            await self._say_troubles(tx, room, now)

    async def _say_troubles(self, tx: Transaction, room: Room, now: datetime) -> None:
        wrong = troubles(room, await tx.rooms.strangers(room.room_id))
        if wrong:
            said = t("Something is wrong with this room:")
            await self._poster(tx, now).post(card(line(Strong(said)), wrong), room)

    async def _no_longer_private(self, tx: Transaction, row: Received, room: Room, now: datetime) -> None:
        """Somebody else is in a direct room, or invited into it: say so once, and speak there as anywhere."""
        if row.content["membership"] not in ("join", "invite"):
            return
        await tx.rooms.change(room.room_id, direct_with=None)
        user_id = str(row.content["user_id"])
        if not await tx.notices.claim(f"private {room.room_id}", now, DAY):
            return  # two came at once
        await tx.audit.add(_entry(row, now, "room.opened", object=user_id))
        said = t("{user} is here too: this room is no longer private. I answer here no more.", user=user_id)
        serve = ToType("!room serve NAME")
        own = t("Write to me in a room of our own, or an admin types {command}", command=serve)
        await self._poster(tx, now).post(card(said, own), room)

    async def _left(self, tx: Transaction, row: Received, now: datetime) -> None:
        await tx.audit.add(
            _entry(row, now, "room.leave", reason_code=str(row.content.get("reason") or "") or None)
        )

    async def _asker(
        self, tx: Transaction, row: Received, now: datetime
    ) -> tuple[Member | None, Room | None, Origin | None]:
        """The active member who sent this, the room, and how to answer there."""
        member = await tx.members.find(row.sender)
        room = await tx.rooms.find(row.room_id)
        if room is None:
            return None, None, None
        answered = row.content.get("target") or row.event_id
        voices = self._poster(tx, now).voices(member, room)
        origin = Origin(room, row.sender, answered, voices, row.content.get("thread"))
        return member if member and member.state == ACTIVE else None, room, origin


_REASONS = {
    "unverified_device": t(
        "I received this from a device its owner has not verified ({device}). I did not act."
        " Verify it, then resend."
    ),
    "unknown_device": t(
        "I received this from a device that I do not know ({device}). I did not act. Verify it, then resend."
    ),
    "identity_changed": t(
        "Your identity is not the one that was enrolled. I did not act."
        " Telephone an admin, who then types {command}; have your new fingerprint at hand."
    ),
    "clear_text": t("That message was not encrypted. I did not act. Turn on encryption, then resend."),
}


def _entry(row: Received, now: datetime, action: str, outcome: str = OK, **values: Any) -> Entry:
    return Entry(
        now,
        "event",
        action,
        outcome,
        actor=row.sender,
        device_id=row.content.get("device_id"),
        room_id=row.room_id,
        event_id=row.event_id,
        **values,
    )
