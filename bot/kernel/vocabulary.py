"""The words that capabilities are written in: roles, references, commands, jobs, calls and posts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, NewType

from bot.kernel.card import Card
from bot.kernel.health import Health
from bot.kernel.language import Text, Voice, t
from storage.members import Grant, Member
from storage.rooms import Room
from storage.transaction import Transaction


class Role(Enum):
    """What a member may do, as granted for an agency."""

    OBSERVER = "observer"
    OFFICER = "officer"
    LIAISON = "liaison"
    DUTY = "duty"
    ANALYST = "analyst"
    SUPERVISOR = "supervisor"
    AUTHREP = "authrep"
    PRIVACY = "privacy"
    AUDITOR = "auditor"
    ADMIN = "admin"

    @property
    def label(self) -> Text:
        """The role's name for readers."""
        return _ROLE_LABELS[self]

    @property
    def also(self) -> tuple[str, ...]:
        """What else is understood: the French for an officer is not only `agent`."""
        return ("officier",) if self is Role.OFFICER else ()


_ROLE_LABELS = {
    Role.OBSERVER: t("observer"),
    Role.OFFICER: t("officer"),
    Role.LIAISON: t("liaison"),
    Role.DUTY: t("duty"),
    Role.ANALYST: t("analyst"),
    Role.SUPERVISOR: t("supervisor"),
    Role.AUTHREP: t("authrep"),
    Role.PRIVACY: t("privacy"),
    Role.AUDITOR: t("auditor"),
    Role.ADMIN: t("admin"),
}

# Who may do what an officer, or a liaison, may: each role implies those listed.
IMPLIED: dict[Role, frozenset[Role]] = {
    Role.OFFICER: frozenset({Role.OBSERVER}),
    Role.LIAISON: frozenset({Role.OFFICER, Role.OBSERVER}),
    Role.DUTY: frozenset({Role.LIAISON, Role.OFFICER, Role.OBSERVER}),
    Role.SUPERVISOR: frozenset({Role.DUTY, Role.LIAISON, Role.OFFICER, Role.OBSERVER}),
}


# What a signature may ask for. A plain `str` is one word or quoted text.
Quoted = NewType("Quoted", str)  # free text: quoted, or the words up to the next name=value
Rest = NewType("Rest", str)  # the remaining text, last parameter only
Ref = NewType("Ref", str)  # a reference such as A-142, or the object of the card that was replied to
UserId = NewType("UserId", str)  # @name:server; a bare @name is completed from the members
Until = NewType("Until", str)  # an end as typed: a length of time, a moment or a day
Wait = NewType("Wait", str)  # until when to wait, as typed: a length of time or a moment
Span = timedelta  # 90m, 2h, 1d
Moment = datetime  # tomorrow 14:00, 1430Z, +90m: an aware instant


@dataclass(frozen=True)
class Prefix:
    """The letter of a reference, as in `Annotated[Ref, Prefix("A")]`."""

    letter: str


AlertRef = Annotated[Ref, Prefix("A")]


@dataclass(frozen=True)
class Example:
    """A command as typed, and a text that its answer contains; run as a test, and shown by help.

    `given` are commands to be run before, by the same officer. `refused` examples are not shown by help.
    """

    typed: str
    answers: str
    given: tuple[str, ...] = ()
    refused: bool = False


@dataclass(frozen=True)
class Call:
    """One command as a handler gets it: who, where, when, in reply to what.

    `sent_at` is the homeserver's word for when it was sent; `health` asks the process how it is, None where
    nobody runs it. `pins_at_sight`: the configuration lets the identity that the homeserver shows first be
    pinned; without it an admin gives each fingerprint.
    """

    tx: Transaction
    who: Member
    grants: tuple[Grant, ...]
    room: Room
    now: datetime
    voice: Voice
    event_id: str
    device_id: str
    typed: str
    reply: Ref | None = None
    sent_at: datetime | None = None
    health: Callable[[], Health] | None = None
    pins_at_sight: bool = True

    def may(self, *roles: Role) -> bool:
        """Whether the caller holds one of these roles here, itself or by one that implies it."""
        return any(holds(self.grants, role, self.room.room_id) for role in roles)


def agencies_with(grants: Sequence[Grant], role: Role, room_id: str | None) -> tuple[str, ...]:
    """The agencies for which grants in force give `role` in a room, each once, by code.

    A role counts itself or by one that implies it; a grant for one room counts only there.
    """
    here = [(Role(grant.role), grant.agency) for grant in grants if grant.room_id in (None, room_id)]
    given = {agency for each, agency in here if role is each or role in IMPLIED.get(each, frozenset())}
    return tuple(sorted(given))


def holds(grants: Sequence[Grant], role: Role, room_id: str | None) -> bool:
    """Whether grants in force give `role` in a room, for whichever agency."""
    return bool(agencies_with(grants, role, room_id))


def speaks_for(home: str, held: Sequence[str], named: str | None = None) -> str | None:
    """The agency for which a member speaks who holds a role for these; None: she has to name another one.

    Without a name it is her own agency, or the only one that there is.
    """
    if named is not None:
        return named if named in held else None
    return home if home in held else held[0] if len(held) == 1 else None


@dataclass(frozen=True)
class Tick:
    """One turn of a job."""

    tx: Transaction
    now: datetime


@dataclass(frozen=True)
class Reaction:
    """A clear-text reaction to a card: a homeserver can forge it.

    Where `room.reactions` is off it must change nothing. `event_id` is the reaction's, also when it is
    `removed`.
    """

    tx: Transaction
    who: Member
    room: Room
    now: datetime
    key: str
    about: Ref
    event_id: str
    removed: bool = False


@dataclass(frozen=True)
class Unmoved:
    """A reaction that changed nothing: why, as a word for the audit record, and what is said about it."""

    code: str
    said: "Sequence[Said]" = ()


LARGEST_ATTACHMENT = 256 * 1024  # bytes


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a post, encrypted as its text is; `name` is what it is saved as.

    ValueError for one that is too large, or whose name leads elsewhere.
    """

    name: str
    mimetype: str
    content: bytes

    def __post_init__(self) -> None:
        if len(self.content) > LARGEST_ATTACHMENT:
            raise ValueError(f"an attachment of {len(self.content)} bytes: {LARGEST_ATTACHMENT} are the most")
        if not self.name or set(self.name) & set("/\\\0\n"):
            raise ValueError("an attachment needs the name of a file, without folders")


@dataclass(frozen=True)
class Post:
    """Something to be said, and where.

    Neither `room_id` nor `to_user`: an answer in the room and thread that asked. `to_user` is by direct
    message. `about` makes replies to it mean that object. `standing`: it is its object's card in that
    room, to be edited by `Board`. `rings`: it needs attention (m.text; whom it mentions is rung);
    otherwise it is an m.notice. `mentions` are rung as well, though the card does not name them. Higher
    `priority` overtakes what is queued. With an `attachment` the card is the caption of a file, which
    cannot stand.
    """

    card: Card
    room_id: str | None = None
    to_user: str | None = None
    about: str | None = None
    standing: bool = False
    rings: bool = False
    mentions: tuple[str, ...] = ()
    priority: int = 0
    attachment: Attachment | None = None

    def __post_init__(self) -> None:
        if self.attachment and self.standing:
            raise ValueError("a file is not edited: it can be no standing card")


@dataclass(frozen=True)
class Board:
    """The new content of an object's standing card, to be edited into every room that has one."""

    about: str
    card: Card


Said = Post | Board | Card | Text
Answer = Said | Sequence[Said]
Reacted = Sequence[Said] | Unmoved
Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True)
class Command:
    """A command as declared: its handler's signature is its grammar, its docstring its help.

    `path` is noun and verb (`("alert", "who")`) or a noun alone; `french` the same in French, the first one
    is shown; `aliases` other spellings; `names` the French names of parameters. `role` None: every enrolled
    member. `anywhere`: also in a room that is not served. `preview` shows what would happen and makes the
    command wait for a confirmation code; if it shows None, it is done at once.
    """

    path: tuple[str, ...]
    handler: Handler
    role: Role | None
    examples: tuple[Example, ...]
    french: tuple[tuple[str, ...], ...] = ()
    aliases: tuple[tuple[str, ...], ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    anywhere: bool = False
    preview: Callable[..., Awaitable[Card | None]] | None = None

    @property
    def spellings(self) -> tuple[tuple[str, ...], ...]:
        """All that it may be called."""
        return (self.path, *self.french, *self.aliases)


@dataclass(frozen=True)
class Job:
    """Something done at intervals; rows say what is due."""

    name: str
    every: timedelta
    handler: Callable[[Tick], Awaitable[Sequence[Said]]]


class Capability:
    """A noun of the officers: its commands, jobs and reactions, collected where they are written."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands: list[Command] = []
        self.jobs: list[Job] = []
        self.reaction: Callable[[Reaction], Awaitable[Reacted]] | None = None
        self.prefix: str | None = None

    def command(
        self,
        *paths: str,
        role: Role | None,
        examples: Sequence[Example],
        french: Sequence[str] = (),
        names: dict[str, str] | None = None,
        anywhere: bool = False,
        preview: Callable[..., Awaitable[Card | None]] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare a command: `paths` are its spellings, `alert who`; the first one is shown by help."""

        def declare(handler: Handler) -> Handler:
            first, *others = (tuple(path.split()) for path in paths)
            given = tuple(tuple(path.split()) for path in french)
            shown = tuple(examples)
            self.commands.append(
                Command(first, handler, role, shown, given, tuple(others), names or {}, anywhere, preview)
            )
            return handler

        return declare

    def job(self, every: timedelta) -> Callable[[Callable[[Tick], Awaitable[Sequence[Said]]]], Any]:
        """Declare a job that is run at these intervals, and once at start."""

        def declare(handler: Callable[[Tick], Awaitable[Sequence[Said]]]) -> Any:
            self.jobs.append(Job(f"{self.name}.{handler.__name__}", every, handler))
            return handler

        return declare

    def on_reaction(self, prefix: str) -> Callable[[Callable[[Reaction], Awaitable[Reacted]]], Any]:
        """Declare what a reaction to a card about `prefix`-numbers does."""

        def declare(handler: Callable[[Reaction], Awaitable[Reacted]]) -> Any:
            self.prefix, self.reaction = prefix, handler
            return handler

        return declare
