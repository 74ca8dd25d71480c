"""Rooms: the bot works only in rooms that an admin told it to serve."""

import re
from enum import Enum

from bot.kernel.card import Card, Code, Line, Strong, bullet, card, line
from bot.kernel.errors import Conflict, NotAllowed, NotUnderstood
from bot.kernel.language import Text, ToType, t, tn
from bot.kernel.room_care import troubles
from bot.kernel.vocabulary import Call, Capability, Example, Post, Role
from bot.kernel.words import folded, quoted
from bot.kernel.zones import zone_named
from storage.rooms import Room

rooms = Capability("rooms")

LONGEST_NAME = 40
TAG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")  # 1 to 24 characters
MOST_TAGS = 10
PREFIXES = ["!", ".", "?", "$", "%", "&", "+", "~", "^"]  # a slash is taken by officers' own clients
NAMES = {"name": "nom", "tags": "étiquettes", "lang": "langue", "tz": "fuseau", "prefix": "préfixe"}


class RoomLanguage(Enum):
    """In which language a room is spoken to where it is not one person's."""

    EN = "en"
    FR = "fr"
    BOTH = "both"

    @property
    def label(self) -> Text:
        """For readers."""
        return {"en": t("English"), "fr": t("French"), "both": t("English and French")}[self.value]

    @property
    def typed(self) -> Text:
        """The one word to type for it."""
        return t("both") if self is RoomLanguage.BOTH else self.label


class StrangerPolicy(Enum):
    """What is done while somebody is in the room who is not enrolled."""

    HOLD = "hold"
    TELL = "tell"

    @property
    def label(self) -> Text:
        """For readers."""
        return {"hold": t("hold"), "tell": t("tell")}[self.value]


def tags_of(typed: tuple[str, ...]) -> tuple[str, ...]:
    """The tags in their one spelling: lower case, no accents, each once; NotUnderstood if one is none."""
    words = [folded(word.removeprefix("#")) for each in typed for word in re.split(r"[\s,;]+", each) if word]
    tags = tuple(dict.fromkeys(words))
    wrong = next((tag for tag in tags if not TAG.fullmatch(tag)), None)
    if wrong is not None:
        said = t("{typed} cannot be a tag.", typed=wrong)
    elif len(tags) > MOST_TAGS:
        said = t("A room has at most {most} tags, not {count}.", most=MOST_TAGS, count=len(tags))
    else:
        return tags
    fitting = dict.fromkeys(re.sub(r"[^a-z0-9]+", "-", tag).strip("-")[:24].strip("-") for tag in tags)
    raise NotUnderstood(
        said,
        argument="tags",
        allowed=t("A tag is a word of 1 to 24 letters, digits or hyphens: ops"),
        instead=",".join([each for each in fitting if each][:MOST_TAGS]) or "ops",
    )


def name_of(typed: str) -> str:
    """A room's name as it is kept; NotUnderstood if it is empty or too long."""
    name = " ".join(typed.removeprefix("#").split())
    if 0 < len(name) <= LONGEST_NAME:
        return name
    raise NotUnderstood(
        t("A room's name has 1 to {most} characters, not {count}.", most=LONGEST_NAME, count=len(name)),
        argument="name",
        instead=quoted(name[:LONGEST_NAME].strip() or "ops"),
    )


def own_tag(name: str) -> tuple[str, ...]:
    """The tag that a room without one gets: its name, where that can be a tag."""
    plain = folded(name)
    return (plain,) if TAG.fullmatch(plain) else ()


@rooms.command(
    "room serve",
    role=Role.ADMIN,
    french=["salon servir"],
    names=NAMES,
    anywhere=True,
    examples=[
        Example("!room serve ops", answers="I serve this room as ops"),
        Example("!room serve detroit marine ops lang=both tz=detroit", answers="Tags: marine, ops"),
        Example(
            "!room serve ops", given=("!room serve ops",), answers="I serve this room already", refused=True
        ),
        Example("!room serve ops #mari/time", answers="cannot be a tag", refused=True),
        Example("!room serve ops tz=CST", answers="CST is not a zone", refused=True),
    ],
)
async def serve_room(
    call: Call, name: str, *tags: str, lang: RoomLanguage | None = None, tz: str | None = None
) -> Post:
    """Tell me to work in this room, under a name, with the tags by which alerts reach it."""
    proper = name_of(name)
    await _refuse_name(call, proper)
    _refuse_served(call)
    values = {
        "name": proper,
        "tags": tags_of(tags) or own_tag(proper),
        "language": lang.value if lang else call.room.language,
        "zone": zone_named(tz, "tz").key if tz else call.room.zone,
    }
    by = {"served": True, "served_by": call.who.user_id, "served_at": call.now}
    # A room that is served belongs to all in it: what is for one person alone goes to a room of its own.
    await call.tx.rooms.change(call.room.room_id, **values, **by, direct_with=None)
    served = await _room(call)
    said = t("I serve this room as {name}.", name=proper)
    more = line(t("What you can do here: {command}", command=ToType("!help")))
    return Post(card(said, _settings(served), await _state_of(call, served), more))


def _refuse_served(call: Call) -> None:
    if call.room.served:
        raise Conflict(
            t("I serve this room already, as {name}.", name=call.room.name or ""), example="!room policy"
        )


async def _refuse_name(call: Call, name: str) -> None:
    taken = [room for room in await call.tx.rooms.served(name) if room.room_id != call.room.room_id]
    if taken:
        raise Conflict(
            t("Another room is called {name} already.", name=name),
            argument="name",
            instead=f"{name}-2",
        )


async def _room(call: Call) -> Room:
    room = await call.tx.rooms.find(call.room.room_id)
    return room or call.room


def _settings(room: Room) -> list[Line]:
    """How the bot works in a room, a line for each thing that can be changed."""
    tags = t("Tags: {tags} (alerts reach this room by them)", tags=room.tags)
    language = RoomLanguage(room.language).label
    reactions = t("Reactions count as answers, except for severe and extreme alerts; anyone can forge them.")
    return [
        bullet(tags if room.tags else t("Tags: none, so no alert reaches this room")),
        bullet(t("Language: {language} · Zone: {zone}", language=language, zone=room.zone)),
        bullet(t("Commands begin with"), " ", Code(room.prefix)),
        bullet(reactions if room.reactions else t("Reactions do not count as answers.")),
        *([] if room.holds else [bullet(t("I speak of alerts here also while somebody is not enrolled."))]),
    ]


async def _state_of(call: Call, room: Room) -> list[Line]:
    """What is wrong with the room, who is there and is not enrolled among it."""
    strangers = await call.tx.rooms.strangers(room.room_id)
    lines = [] if strangers else [bullet(t("Everybody here is enrolled."))]
    present = await call.tx.rooms.present(room.room_id)
    servers = tuple(sorted({user.partition(":")[2] for user in present}))
    if room.federated and len(servers) > 1:
        lines.append(bullet(t("People of these homeservers are here: {servers}", servers=servers)))
    return [*lines, *troubles(room, strangers)]


@rooms.command(
    "room list",
    "room",
    "rooms",
    role=None,
    french=["salon liste", "salon", "salons"],
    examples=[
        Example("!room list", answers="Rooms I serve:"),
        Example("!room list all rooms", answers="all", refused=True),
    ],
)
async def list_rooms(call: Call) -> Card | Text:
    """The rooms I serve, with their tags and how many people are in each."""
    served = await call.tx.rooms.served()
    if not served:
        return t(
            "I serve no room yet. An admin types this in the room: {command}",
            command=ToType("!room serve ops"),
        )
    sizes = await call.tx.rooms.sizes()
    return card(
        line(Strong(t("Rooms I serve: {count}", count=len(served)))),
        [bullet(_entry(room, sizes.get(room.room_id, 0), call.room.room_id)) for room in served],
    )


def _entry(room: Room, size: int, here: str) -> Text:
    people = tn("{count} person", "{count} people", size)
    values = {"name": room.name or room.room_id, "tags": room.tags or t("no tags"), "people": people}
    if room.room_id == here:
        return t("{name} (this room) · {tags} · {people}", **values)
    return t("{name} · {tags} · {people}", **values)


@rooms.command(
    "room policy",
    role=None,
    french=["salon règles"],
    names=NAMES | {"reactions": "réactions", "strangers": "inconnus"},
    examples=[
        Example("!room policy", answers="Commands begin with !"),
        Example("!room policy tags=ops,marine reactions=on", answers="Tags: ops, marine"),
        Example(
            "!room policy strangers=tell",
            answers="I speak of alerts here also while somebody is not enrolled",
        ),
        Example("!room policy prefix=/", answers="cannot begin a command", refused=True),
        Example("!room policy tz=nowhere", answers="I know no zone nowhere", refused=True),
    ],
)
async def set_policy(
    call: Call,
    *,
    tags: tuple[str, ...] | None = None,
    lang: RoomLanguage | None = None,
    tz: str | None = None,
    prefix: str | None = None,
    reactions: bool | None = None,
    strangers: StrangerPolicy | None = None,
) -> Post:
    """How I work in this room; an admin can change it."""
    _refuse_unserved(call)
    if all(each is None for each in (tags, lang, tz, prefix, reactions, strangers)):
        shown = card(line(Strong(t("{name}:", name=call.room.name or ""))), _settings(call.room))
        return Post(card(shown.blocks, await _state_of(call, call.room)))
    if not call.may(Role.ADMIN):
        raise NotAllowed(t("Only an admin changes how I work here."), example="!room policy")
    changes = {
        "tags": None if tags is None else tags_of(tags),
        "language": lang and lang.value,
        "zone": zone_named(tz, "tz").key if tz else None,
        "prefix": None if prefix is None else prefix_of(prefix),
        "reactions": reactions,
        "holds": None if strangers is None else strangers is StrangerPolicy.HOLD,
    }
    wanted = {name: value for name, value in changes.items() if value is not None}
    await call.tx.rooms.change(call.room.room_id, **wanted)
    return Post(card(t("Changed. From now on:"), _settings(await _room(call))))


def prefix_of(typed: str) -> str:
    """The character that commands begin with; NotUnderstood if a client or a sentence would use it."""
    if typed in PREFIXES:
        return typed
    raise NotUnderstood(
        t("{typed} cannot begin a command.", typed=typed),
        argument="prefix",
        allowed=t("One of {prefixes}", prefixes=" ".join(PREFIXES)),
        instead="!",
    )


def _refuse_unserved(call: Call) -> None:
    if not call.room.served:
        raise Conflict(t("I do not serve this room."), example="!room list")


async def preview_release(call: Call) -> Card:
    """What ends when this room is released."""
    _refuse_unserved(call)
    return card(
        t("After this I no longer work in {name}.", name=call.room.name or ""),
        bullet(t("Commands get no answer here, and alerts no longer reach this room.")),
        bullet(t("Its name and tags are free again. I stay in the room until somebody removes me.")),
    )


@rooms.command(
    "room release",
    role=Role.ADMIN,
    french=["salon libérer"],
    preview=preview_release,
    examples=[
        Example("!room release", answers="After this I no longer work in"),
        Example("!room release marine", answers="marine", refused=True),
    ],
)
async def release_room(call: Call) -> Post:
    """Stop working in this room; asks you to confirm."""
    _refuse_unserved(call)
    await call.tx.rooms.change(call.room.room_id, served=False, name=None, tags=(), prefix="!")
    await call.tx.outbox.give_up(call.room.room_id, "room_released")
    return Post(
        card(
            t("I no longer work in this room."),
            bullet(t("To begin again: {command}", command=ToType("!room serve ops"))),
        )
    )
