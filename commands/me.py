"""Me: is the bot there and well, what it knows of me, and how it speaks to me."""

from datetime import datetime, timedelta
from enum import Enum

from bot.kernel.card import Card, Code, Line, Strong, bullet, card, line
from bot.kernel.health import Health
from bot.kernel.language import Text, t, tn
from bot.kernel.vocabulary import Call, Capability, Example, Quoted, Role
from bot.kernel.zones import zone_named
from commands.members.rules import STATES, named
from commands.members.standing import details_of
from storage.members import ACTIVE

me = Capability("me")

QUIET = timedelta(minutes=2)  # of the homeserver: a sync is answered within 30 s even if nothing happened
PATIENCE = timedelta(minutes=1)  # of what waits to be sent
SKEW = timedelta(minutes=1)  # from here on, times that people read are wrong
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Chosen(Enum):
    """The language a member wants; AUTO is the room's."""

    EN = "en"
    FR = "fr"
    AUTO = "auto"

    @property
    def label(self) -> Text:
        """For readers."""
        return {"en": t("English"), "fr": t("French"), "auto": t("auto")}[self.value]


def troubles(health: Health, waiting: int, oldest: datetime | None, now: datetime) -> list[Text]:
    """What is not well, the gravest first; empty if all is."""
    found = []
    if not health.own_chain:
        found.append(t("my own identity does not hold together, so I send nothing"))
    if health.synced_at is None:
        found.append(t("I have no word from the homeserver yet"))
    elif now - health.synced_at > QUIET:
        found.append(t("no word from the homeserver for {time}", time=now - health.synced_at))
    if oldest is not None and now - oldest > PATIENCE:
        found.append(
            tn(
                "{count} message waits for {time}",
                "{count} messages wait, the first for {time}",
                waiting,
                time=now - oldest,
            )
        )
    if health.violations:
        found.append(
            tn(
                "{count} member shows another identity than the pinned one",
                "{count} members show another identity than the pinned one",
                health.violations,
            )
        )
    if health.one_time_keys == 0:
        found.append(t("my one-time keys are used up, so new devices cannot reach me"))
    if health.skew is not None and abs(health.skew) > SKEW:
        found.append(t("my clock is {time} off", time=abs(health.skew)))
    return found


def delay(sent_at: datetime | None, now: datetime) -> Text | timedelta | None:
    """How long a message took, None where the clocks disagree about which came first."""
    if sent_at is None or now <= sent_at:
        return None
    took = now - sent_at
    if took < timedelta(seconds=10):
        return t("{count} ms", count=took // timedelta(milliseconds=1))
    return took


@me.command(
    "ping",
    role=None,
    anywhere=True,
    examples=[
        Example("!ping", answers="pong"),
        Example("!ping now", answers="now", refused=True),
    ],
)
async def answer_ping(call: Call) -> Text:
    """Am I there?"""
    took = delay(call.sent_at, call.now)
    return t("pong · {time} since you sent it", time=took) if took else t("pong")


@me.command(
    "whoami",
    role=None,
    french=["quisuisje"],
    anywhere=True,
    examples=[
        Example("!whoami", answers="I record of each command"),
        Example("!whoami really", answers="really", refused=True),
    ],
)
async def tell_whoami(call: Call) -> Card:
    """What I know of you, and what I record."""
    who = call.who
    said = t("You are {who} · {agency} · {state}", who=named(who), agency=who.agency, state=STATES[who.state])
    return card(
        line(Strong(said)),
        await details_of(call, who),
        bullet(t("This device:"), " ", Code(call.device_id)),
        bullet(t("I record of each command: when, which device, which room, the outcome; never its text.")),
        bullet(t("I keep, encrypted, until my operator deletes it: what you type to me, what I answer.")),
    )


@me.command(
    "status",
    role=None,
    french=["état", "statut"],
    examples=[
        Example("!status", answers="All well"),
        Example("!status all of it", answers="all", refused=True),
    ],
)
async def tell_status(call: Call) -> Card:
    """Whether all is well with me; admins see the figures too."""
    waiting, oldest = await call.tx.outbox.waiting()
    health = call.health() if call.health else None
    found = troubles(health, waiting, oldest, call.now) if health else []
    first = t("Trouble: {what}.", what=found[0]) if found else t("All well.")
    lines = [line(Strong(first)), *(bullet(each) for each in found[1:])]
    lines.append(bullet(await _reach(call)))
    if call.may(Role.ADMIN):
        lines += [*_figures(call, health, waiting), await _audited(call)]
    return card(lines)


async def _reach(call: Call) -> Text:
    members = len(await call.tx.members.all(ACTIVE))
    rooms = len(await call.tx.rooms.served())
    return t(
        "{members} in {rooms}",
        members=tn("{count} member", "{count} members", members),
        rooms=tn("{count} room", "{count} rooms", rooms),
    )


def _figures(call: Call, health: Health | None, waiting: int) -> list[Line]:
    """What an admin needs to see whether something is about to go wrong."""
    kind = DATABASES.get(call.tx.kind, call.tx.kind)
    lines = [bullet(t("Waiting to be sent: {count} · Database: {kind}", count=waiting, kind=kind))]
    if health is None:
        return lines
    if health.synced_at:
        lines.append(bullet(t("Heard from the homeserver {time} ago", time=call.now - health.synced_at)))
    keys = {
        "keys": "?" if health.one_time_keys is None else health.one_time_keys,
        "count": health.undecryptable,
    }
    lines.append(bullet(t("One-time keys: {keys} · Messages I could not read: {count}", **keys)))
    lines.append(bullet(t("Running for {time}", time=call.now - health.started_at)))
    return lines


async def _audited(call: Call) -> Line:
    """When the audit record was signed last, and how much of it is not sealed yet."""
    head, count = await call.tx.audit.newest_head(), await call.tx.audit.count_unsealed()
    if head is None:
        return bullet(t("Audit record: not signed yet ({count} entries not sealed)", count=count))
    time = call.now - head.signed_at
    return bullet(t("Audit record: signed {time} ago ({count} entries not sealed)", time=time, count=count))


@me.command(
    "lang",
    role=None,
    french=["langue"],
    names={"language": "langue"},
    anywhere=True,
    examples=[
        Example("!lang fr", answers="Désormais, je vous parle en français"),
        Example("!lang en", answers="From now on I speak English with you"),
        Example("!lang auto", answers="the language of each room"),
        Example("!lang de", answers="language is one of", refused=True),
    ],
)
async def choose_language(call: Call, language: Chosen) -> Text:
    """Choose the language I speak with you: en, fr, or auto for the room's."""
    if language is Chosen.AUTO:
        await call.tx.members.prefer(call.who.user_id, language=None)
        return t("I speak the language of each room with you.")
    await call.tx.members.prefer(call.who.user_id, language=language.value)
    return t("From now on I speak {language} with you.", language=language.label)


@me.command(
    "tz",
    role=None,
    french=["fuseau"],
    names={"zone": "fuseau"},
    anywhere=True,
    examples=[
        Example("!tz America/Regina", answers="America/Regina"),
        Example("!tz regina", answers="America/Regina"),
        Example("!tz auto", answers="the zone of each room"),
        Example("!tz CST", answers="CST is not a zone", refused=True),
        Example("!tz America/Regna", answers="I know no zone America/Regna", refused=True),
    ],
)
async def choose_zone(call: Call, zone: Quoted) -> Text:
    """Choose the zone of the times I show you and you type: its city, or auto for the room's."""
    if zone.strip().casefold() == "auto":
        await call.tx.members.prefer(call.who.user_id, zone=None)
        return t("Times are in the zone of each room for you.")
    chosen = zone_named(zone, "zone")
    await call.tx.members.prefer(call.who.user_id, zone=chosen.key)
    return t("Your zone is {zone}: it is {at} there.", zone=chosen.key, at=call.now)
