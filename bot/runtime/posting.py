"""Posting: what was said becomes outbox rows and m.room.message contents."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.kernel.card import Card, Rendered, card, render
from bot.kernel.language import Language, Spelling, Voice
from bot.kernel.vocabulary import Answer, Attachment, Board, Post, Said
from bot.runtime.holding import is_held, stub
from storage.members import Member
from storage.outbox import ANSWER, CARD, EDIT, HELD, QUEUED, Owed
from storage.pages import ANYONE, ANYWHERE, Pages
from storage.rooms import Room
from storage.transaction import Transaction

PAGES_KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Origin:
    """The message that is answered; `thread` is the root of the thread it stands in."""

    room: Room
    user_id: str
    event_id: str
    voices: tuple[Voice, ...]
    thread: str | None = None


@dataclass
class Spoken:
    """What came of it: whether the asking room got a reply, and the objects that were spoken about."""

    answered: bool = False
    about: list[str] = field(default_factory=list)


def zone_of(name: str) -> ZoneInfo:
    """The zone, UTC if this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        return ZoneInfo("UTC")


def content_of(
    page: Rendered,
    *,
    rings: bool = False,
    mentions: Collection[str] = (),
    relation: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An m.room.message; only `mentions` ring anyone, and an empty list says so to every client."""
    content: dict[str, Any] = {
        "msgtype": "m.text" if rings else "m.notice",
        "body": page.body,
        "format": "org.matrix.custom.html",
        "formatted_body": page.html,
        "m.mentions": {"user_ids": list(mentions)} if mentions else {},
    }
    return content | {"m.relates_to": relation} if relation else content


def file_of(attachment: Attachment) -> dict[str, Any]:
    """What makes a message one that carries this file; where it lies is filled in when it is sent."""
    return {
        "msgtype": "m.image" if attachment.mimetype.startswith("image/") else "m.file",
        "filename": attachment.name,
        "info": {"mimetype": attachment.mimetype, "size": len(attachment.content)},
    }


def edit_of(page: Rendered, *, rings: bool) -> dict[str, Any]:
    """The edit of a card; which event it replaces is filled in when it is sent. It rings nobody."""
    new = content_of(page, rings=rings)
    shown = Rendered(f"* {page.body}", f"* {page.html}")
    return content_of(shown, rings=rings) | {"m.new_content": new}


def reply_to(origin: Origin) -> dict[str, Any]:
    """The relation of an answer: a reply, in the thread where it was asked."""
    reply = {"m.in_reply_to": {"event_id": origin.event_id}}
    if origin.thread is None:
        return reply
    return {"rel_type": "m.thread", "event_id": origin.thread, "is_falling_back": False, **reply}


def _place(post: Post, origin: Origin | None) -> tuple[str | None, str | None]:
    """The room or else the person that a post goes to; a direct message is said where its reader asked."""
    direct_here = post.to_user and origin and origin.room.direct_with == post.to_user
    if not direct_here and (post.room_id or post.to_user):
        return post.room_id, post.to_user
    if origin is None:
        raise ValueError("a post without a place, and nobody asked")
    return origin.room.room_id, None


class Poster:
    """Writes what was said into the outbox, in the transaction of the act."""

    def __init__(self, tx: Transaction, now: datetime, token: Callable[[], str], spelled: Spelling) -> None:
        self._tx = tx
        self._now = now
        self._token = token
        self._spelled = spelled

    def voices(self, member: Member | None, room: Room | None) -> tuple[Voice, ...]:
        """How a member is spoken to in a room: in her language and zone, else the room's.

        Without a member as the room is spoken to, in one voice or in English and then French; without a
        room in English and UTC.
        """
        zone = (member and member.zone) or (room and room.zone) or "UTC"
        language = (member and member.language) or (room and room.language) or Language.EN.value
        languages = tuple(Language) if language == "both" else (Language(language),)
        prefix = room.prefix if room else "!"
        return tuple(Voice(each, zone_of(zone), self._now, prefix, self._spelled) for each in languages)

    async def voices_to(self, user_id: str) -> tuple[Voice, ...]:
        """How a person is spoken to by direct message."""
        return self.voices(await self._tx.members.find(user_id), await self._tx.rooms.direct(user_id))

    async def say(self, answer: Answer, origin: Origin | None = None) -> Spoken:
        """Owe everything that was said. Without an origin, each post must name its place."""
        spoken = Spoken()
        said: Sequence[Said] = answer if isinstance(answer, Sequence) else (answer,)
        for each in said:
            if isinstance(each, Board):
                await self._board(each)
                spoken.about.append(each.about)
                continue
            post = each if isinstance(each, Post) else Post(each if isinstance(each, Card) else card(each))
            here = await self._post(post, origin)
            spoken.answered = spoken.answered or here
            spoken.about += [post.about] if post.about else []
        return spoken

    async def page(self, page: Rendered, about: str | None, origin: Origin) -> None:
        """Answer with a page that was rendered before."""
        room_id = origin.room.room_id
        held = await self._is_held(Post(card(), about=about), room_id, origin)
        content = content_of(page, relation=reply_to(origin))
        await self._tx.outbox.add(content, self._token(), self._now, room_id=room_id, about=about, held=held)

    async def post(self, shown: Card, room: Room) -> None:
        """Owe a message to a room that did not ask."""
        await self._post(Post(shown, room_id=room.room_id), None)

    async def direct(self, shown: Card, user_id: str, *, rings: bool = False) -> None:
        """Owe a direct message."""
        await self._post(Post(shown, to_user=user_id, rings=rings), None)

    async def _post(self, post: Post, origin: Origin | None) -> bool:
        """Owe one message; whether it is a reply in the asking room."""
        room_id, to_user = _place(post, origin)
        here = origin is not None and room_id == origin.room.room_id
        held = await self._is_held(post, room_id, origin)
        voices = await self._voices(post, room_id, origin)
        pages = render(post.card, *voices)
        content = content_of(
            pages[0],
            rings=post.rings,
            mentions=dict.fromkeys((*post.card.mentioned(), *post.mentions)) if post.rings else (),
            relation=reply_to(origin) if here and origin else None,
        )
        owed = await self._tx.outbox.add(
            content | (file_of(post.attachment) if post.attachment else {}),
            self._token(),
            self._now,
            room_id=room_id,
            to_user=to_user,
            about=post.about,
            kind=CARD if post.standing else ANSWER,
            priority=post.priority,
            held=held,
        )
        if post.attachment:
            await self._tx.attachments.add(owed, post.attachment.content)
        asker = origin.user_id if origin and here and post.room_id is None else None
        await self._keep(pages[1:], asker or to_user or ANYONE, room_id or ANYWHERE, post.about)
        return here

    async def _is_held(self, post: Post, room_id: str | None, origin: Origin | None) -> bool:
        """Whether the post waits for its room to be in order; the room is told that something waits."""
        held = await is_held(self._tx, room_id, post.about)
        if held and room_id and post.about:
            waits = await stub(self._tx, room_id, post.about)
            await self._post(replace(post, card=waits, about=None, standing=False, attachment=None), origin)
        return held

    async def _voices(self, post: Post, room_id: str | None, origin: Origin | None) -> tuple[Voice, ...]:
        if origin and post.room_id is None and room_id is not None:
            return origin.voices
        if post.to_user:
            return await self.voices_to(post.to_user)
        return self.voices(None, await self._tx.rooms.find(room_id or ""))

    async def _keep(self, rest: Sequence[Rendered], user_id: str, room_id: str, about: str | None) -> None:
        if not rest:
            return
        await self._tx.pages.forget(self._now - PAGES_KEPT)
        kept = tuple((page.body, page.html) for page in rest)
        await self._tx.pages.put(Pages(user_id, room_id, kept, about, self._now))

    # the standing card

    async def _board(self, board: Board) -> None:
        for owed in await self._tx.outbox.cards(board.about):
            if not await self._is_reached(owed):
                continue
            page = await self._redrawn(owed, board)
            if not await self._replaced(owed, page):
                await self._edit(owed, page)

    async def _is_reached(self, owed: Owed) -> bool:
        """Whether the bot still works where the card stands: a room that was released hears no more."""
        room = await self._tx.rooms.find(owed.room_id) if owed.room_id else None
        return owed.room_id is None or (room is not None and room.is_reached)

    async def _redrawn(self, owed: Owed, board: Board) -> Rendered:
        pages = render(
            board.card, *await self._voices(Post(board.card, to_user=owed.to_user), owed.room_id, None)
        )
        await self._keep(pages[1:], owed.to_user or ANYONE, owed.room_id or ANYWHERE, board.about)
        return pages[0]

    async def _replaced(self, owed: Owed, page: Rendered) -> bool:
        """A card that nobody has seen yet is changed before it is sent; whom it rings stays."""
        if owed.state not in (QUEUED, HELD):
            return False
        changed = owed.content | {"body": page.body, "formatted_body": page.html}
        return await self._tx.outbox.replace_content(owed.id, changed)

    async def _edit(self, owed: Owed, page: Rendered) -> None:
        content = edit_of(page, rings=owed.content["msgtype"] == "m.text")
        pending = await self._tx.outbox.pending_edit(owed.id)
        if pending and await self._tx.outbox.replace_content(pending.id, content):
            return
        await self._tx.outbox.add(
            content,
            self._token(),
            self._now,
            room_id=owed.room_id,
            to_user=owed.to_user if owed.room_id is None else None,
            about=owed.about,
            kind=EDIT,
            replaces=owed.id,
            priority=owed.priority,
            held=await is_held(self._tx, owed.room_id, owed.about),
        )
