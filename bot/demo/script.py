"""What the tour plays: the cast, the rooms and the acts, in order. Each capability adds a scene."""

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
    Says("Sam", "desk", "!room serve desk", "I serve this room as desk"),
    Says("Sam", "desk", '!agency add CBP "Customs and Border Protection" country=US', "CBP is on the list"),
    Says("Sam", "desk", '!agency add SQ "Sûreté du Québec" country=CA', "SQ is on the list"),
    Says("Sam", "desk", "!member add {Anna} RCMP duty name=Anna", "is enrolled for RCMP as duty"),
    Says("Sam", "desk", "!member add {Carla} CBP liaison name=Carla", "is enrolled for CBP as liaison"),
    Says("Sam", "desk", "!member add {Luc} SQ name=Luc lang=fr", "is enrolled for SQ as officer"),
    Says("Sam", "desk", "!member add {Manon} SQ supervisor name=Manon", "is enrolled for SQ as supervisor"),
    Opens("Sam", "detroit", ("Anna", "Carla")),
    Says("Sam", "detroit", "!room serve detroit ops", "I serve this room as detroit"),
    Opens("Sam", "champlain", ("Luc", "Manon")),
    Says("Sam", "champlain", "!room serve champlain ops lang=fr", "champlain"),
)

ANSWERED: tuple[Act, ...] = (
    Tells("Anna raises an alert; each agency answers in its own way"),
    Says(
        "Anna",
        "detroit",
        '!alert severe "Ambassador Bridge closed, armed suspect" to=ops',
        "Asked: CBP, SQ.",
        hears=(
            Hears("Carla", "Ambassador Bridge closed", "detroit", rings=True),
            Hears("Luc", "Ambassador Bridge closed", "champlain", rings=True),
        ),
    ),
    Says(
        "Carla",
        "detroit",
        "!ack",
        "A-1: your answer is on record: CBP ✔ ack. Still silent: SQ.",
        replies_to="Ambassador Bridge closed",
        hears=(Hears("Anna", "CBP ✔ ack · Carla", "detroit"),),
    ),
    Says(
        "Luc",
        "champlain",
        "!accuser A-1",
        "A-1 : votre réponse est consignée : SQ ✔ accusé de réception. Plus aucun silence.",
        hears=(Hears("Anna", "SQ ✔ ack · Luc", "detroit"), Hears("Anna", "A-1 is answered", "detroit")),
    ),
    Says("Anna", "detroit", "!alert clear A-1", "ALL CLEAR"),
)

ESCALATED: tuple[Act, ...] = (
    Tells("A second alert: one agency cannot, another is silent, and time does its work"),
    Says(
        "Anna",
        "detroit",
        '!alert severe "Vessel running dark near Walpole Island" to=ops in=10m',
        "Asked: CBP, SQ.",
        hears=(Hears("Carla", "Vessel running dark", "detroit", rings=True),),
    ),
    Says(
        "Carla",
        "detroit",
        '!ack A-2 unable "no boat before noon"',
        "A-2: your answer is on record: CBP ✖ unable. Still silent: SQ.",
        hears=(Hears("Anna", "A-2: CBP ✖ unable · Carla: no boat before noon", "detroit", rings=True),),
    ),
    Says("Anna", "detroit", "!alert red “Vessel aground” to=ops", "severity is one of"),
    TimePasses(
        timedelta(minutes=10), (Hears("Luc", "Toujours pas de réponse de SQ.", "champlain", rings=True),)
    ),
    TimePasses(
        timedelta(minutes=5),
        (Hears("Manon", "You are its supervisor.", rings=True),),
    ),
    Says(
        "Manon",
        "champlain",
        '!accuser A-2 aide "deux bateaux en route"',
        "A-2 : votre réponse est consignée",
        hears=(Hears("Anna", "SQ ✔ needs HELP · Manon", "detroit"),),
    ),
    Says("Anna", "detroit", "!alert who A-2", "CBP ✖ unable · Carla"),
    Says("Anna", "detroit", '!alert cancel A-2 "vessel identified"', "CANCELLED"),
)

SCRIPT: tuple[Act, ...] = (*SETTING_UP, *ANSWERED, *ESCALATED)
