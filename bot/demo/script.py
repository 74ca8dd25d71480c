"""What the tour plays: the cast, the rooms and the acts, in order. A new capability adds its scene here."""

from dataclasses import dataclass
from datetime import timedelta

# Invented people. Sam is the one admin whom the bot's configuration names.
CAST = {
    "Sam": "RCMP, admin",
    "Anna": "RCMP, duty officer",
    "Carla": "CBP, liaison",
    "Luc": "Sûreté du Québec, officer",
    "Manon": "Sûreté du Québec, supervisor",
}
ADMIN = "sam"

ROOMS = {"desk": "the admin's desk", "detroit": "Detroit River", "champlain": "Lac Champlain"}


@dataclass(frozen=True)
class Tells:
    """A heading for the reader."""

    text: str


@dataclass(frozen=True)
class Hears:
    """Someone gets a message, or a changed card, with this text; `room` None: by direct message."""

    who: str
    text: str
    room: str | None = None
    rings: bool = False


@dataclass(frozen=True)
class Opens:
    """Someone makes an encrypted room with the bot and these guests."""

    who: str
    room: str
    guests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Says:
    """Someone types `text`, in which {Anna} stands for her user id; the answer contains `answer`.

    `replies_to` is a text of the message that is replied to.
    """

    who: str
    room: str
    text: str
    answer: str
    replies_to: str | None = None
    hears: tuple[Hears, ...] = ()


@dataclass(frozen=True)
class TimePasses:
    """The bot's clock is moved ahead."""

    span: timedelta
    hears: tuple[Hears, ...] = ()


Act = Tells | Opens | Says | TimePasses

SETTING_UP: tuple[Act, ...] = (
    Tells("Sam sets up: agencies, people, rooms"),
    Opens("Sam", "desk"),
    Says("Sam", "desk", "!ping", "pong"),
    Says(
        "Sam", "desk", '!agency add CBP "U.S. Customs and Border Protection" country=US', "CBP is on the list"
    ),
    Says("Sam", "desk", '!agency add SQ "Sûreté du Québec" country=CA', "SQ is on the list"),
    Says("Sam", "desk", "!member add {Anna} RCMP duty", "Anna"),
    Says("Sam", "desk", "!member add {Carla} CBP liaison", "Carla"),
    Says("Sam", "desk", "!member add {Luc} SQ officer", "Luc"),
    Says("Sam", "desk", "!member add {Manon} SQ supervisor", "Manon"),
    Opens("Sam", "detroit", ("Anna", "Carla", "Luc")),
    Says("Sam", "detroit", "!room serve detroit ops", "detroit"),
    Opens("Sam", "champlain", ("Luc", "Manon")),
    Says("Sam", "champlain", "!room serve champlain ops lang=fr", "champlain"),
)

SCRIPT: tuple[Act, ...] = (*SETTING_UP,)
