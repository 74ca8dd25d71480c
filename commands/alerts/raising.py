"""Raise an alert: what is refused, which rooms it goes to, whom it asks."""

from collections.abc import Sequence
from datetime import timedelta

from bot.kernel.card import Strong, card, line
from bot.kernel.errors import Conflict, NotFound, NotUnderstood
from bot.kernel.language import Text, t, tn
from bot.kernel.vocabulary import Call, Example, Post, Quoted, Role, Said, Span
from bot.kernel.words import nearest
from commands.alerts.acts import note, rung_in, speak
from commands.alerts.capability import alerts
from commands.alerts.cards import standing_card, title
from commands.alerts.rules import (
    LONGEST_HEADLINE,
    PATIENCE,
    RAISED,
    SAME_WITHIN,
    AckPolicy,
    Severity,
    asked_anew,
    expires_at,
    is_patience,
    same_as,
    shortened,
)
from commands.alerts.views import View, present, view_of
from storage.alerts import ACTIVE, Alert
from storage.rooms import Room


@alerts.command(
    "alert",
    role=Role.LIAISON,
    french=["alerte"],
    names={"severity": "gravité", "headline": "titre", "to": "à", "ack": "accusé", "in_": "dans"},
    examples=[
        Example('!alert severe "Bridge closed"', answers="A-1 SEVERE: Bridge closed"),
        Example('!alert minor "Radio test at noon" ack=none', answers="No answer is asked for."),
        Example('!alert extreme "Shots fired, pier 4" in=2m', answers="A-1 EXTREME: Shots fired, pier 4"),
        Example(
            '!alert red "Bridge closed"',
            answers="severity is one of minor, moderate, severe, extreme, not 'red'",
            refused=True,
        ),
        Example('!alert severe ""', answers="headline is empty", refused=True),
        Example(
            '!alert severe "Bridge closed" in=2d', answers="A deadline is 1 min to 24 h away", refused=True
        ),
        Example(
            '!alert severe "Bridge closed" to=nowhere', answers="No room has the tag nowhere", refused=True
        ),
        Example(
            '!alert severe "bridge  CLOSED!"',
            given=('!alert severe "Bridge closed"',),
            answers="A-1 looks the same",
            refused=True,
        ),
    ],
)
async def raise_alert(
    call: Call,
    severity: Severity,
    headline: Quoted,
    *,
    to: tuple[str, ...] = (),
    ack: AckPolicy = AckPolicy.EACH_AGENCY,
    in_: Span | None = None,
) -> list[Said]:
    """Raise an alert. It stays open until every agency in its rooms has answered.

    Without `to` it goes to this room; `to=ops` or `to=ops,marine` to every room with that tag.
    """
    said = checked_headline(headline)
    patience = checked_patience(in_, severity)
    rooms = await _targets(call, to)
    await _check_not_said(call, said, rooms)
    alert = await _record(call, severity, said, ack, patience, rooms)
    view = await view_of(call.tx, alert)
    answer = [] if rooms == [call.room] else [_where_it_went(view, rooms)]
    return [*await _cards(call, view), *answer]


def checked_headline(headline: str) -> str:
    """The headline in one line; NotUnderstood if it is too long."""
    said = " ".join(headline.split())
    if len(said) > LONGEST_HEADLINE:
        raise NotUnderstood(
            t("The headline has {count} characters.", count=len(said)),
            argument="headline",
            allowed=t("It takes 1 to {count} characters, in quotes.", count=LONGEST_HEADLINE),
            instead=f'"{shortened(said)}"',
        )
    return said


def checked_patience(span: timedelta | None, severity: Severity) -> timedelta:
    """The time to the first deadline; NotUnderstood if it is not between one minute and 24 hours."""
    if span is None:
        return PATIENCE[severity]
    if is_patience(span):
        return span
    minutes = int(PATIENCE[severity].total_seconds() // 60)
    raise NotUnderstood(
        t("Nobody can answer within {span}.", span=span)
        if span < PATIENCE[severity]
        else t("{span} is too long to wait for an answer.", span=span),
        argument="in_",
        allowed=t("A deadline is 1 min to 24 h away."),
        instead=f"{minutes}m",
    )


async def _targets(call: Call, to: Sequence[str]) -> list[Room]:
    if to:
        found = {room.room_id: room for tag in to for room in await _tagged(call, tag.casefold())}
        return [found[room_id] for room_id in sorted(found)]
    if call.room.direct_with is None:
        return [call.room]
    raise NotUnderstood(
        t("Nobody but us two is in this room: say where the alert is to go."),
        allowed=await _known_tags(call),
        example=f"{call.typed.splitlines()[0].strip()} to={await _first_tag(call)}",
    )


async def _tagged(call: Call, tag: str) -> list[Room]:
    rooms = await call.tx.rooms.tagged(tag)
    if rooms:
        return rooms
    near = nearest(tag, sorted({tag for room in await call.tx.rooms.served() for tag in room.tags}))
    raise NotFound(
        t("No room has the tag {tag}.", tag=tag),
        argument="to",
        allowed=await _known_tags(call),
        instead=near,
        example=None if near else '!alert severe "Bridge closed"',
    )


async def _first_tag(call: Call) -> str:
    return min((tag for room in await call.tx.rooms.served() for tag in room.tags), default="ops")


async def _known_tags(call: Call) -> Text:
    counts: dict[str, int] = {}
    for room in await call.tx.rooms.served():
        for tag in room.tags:
            counts[tag] = counts.get(tag, 0) + 1
    if not counts:
        return t("No room has a tag yet: leave out to= and it goes to the room you are in.")
    rows = [
        tn("{tag} ({count} room)", "{tag} ({count} rooms)", counts[tag], tag=tag) for tag in sorted(counts)
    ]
    return t("Tags: {tags}.", tags=tuple(rows))


async def _check_not_said(call: Call, headline: str, rooms: Sequence[Room]) -> None:
    recent = await call.tx.alerts.raised_since(call.who.agency, call.now - SAME_WITHIN)
    earlier = [(alert, await call.tx.alerts.rooms(alert.number)) for alert in recent]
    same = same_as(headline, [room.room_id for room in rooms], earlier)
    if same is None:
        return
    raise Conflict(
        t("{ref} looks the same: {headline}.", ref=same.ref, headline=same.headline),
        argument="headline",
        allowed=t("Update it, or say something else."),
        example=f'!alert update {same.ref} "{headline}"',
    )


async def _record(
    call: Call,
    severity: Severity,
    headline: str,
    ack: AckPolicy,
    patience: timedelta,
    rooms: Sequence[Room],
) -> Alert:
    alert = Alert(
        number=await call.tx.alerts.next_number(),
        version=1,
        round=1,
        state=ACTIVE,
        severity=severity.value,
        headline=headline,
        agency=call.who.agency,
        author=call.who.user_id,
        room_id=call.room.room_id,
        policy=ack.value,
        patience_seconds=int(patience.total_seconds()),
        raised_at=call.now,
        updated_at=call.now,
        expires_at=expires_at(severity, patience, call.now),
    )
    room_ids = [room.room_id for room in rooms]
    there = {member.agency for member in await present(call.tx, room_ids)}
    asked = [asked_anew(each, patience, call.now, ack) for each in sorted(there | {call.who.agency})]
    await call.tx.alerts.add(alert, room_ids, asked)
    await speak(call, alert, RAISED)
    await note(call, alert, None, ACTIVE)
    return alert


async def _cards(call: Call, view: View) -> list[Said]:
    return [
        Post(
            standing_card(view),
            room_id=room.room_id,
            about=view.alert.ref,
            standing=True,
            rings=True,
            mentions=await rung_in(call.tx, view, room),
            priority=view.priority,
        )
        for room in view.rooms
    ]


def _where_it_went(view: View, rooms: Sequence[Room]) -> Post:
    sent = tn(
        "Sent to {count} room: {rooms}.", "Sent to {count} rooms: {rooms}.", len(rooms), rooms=_names(rooms)
    )
    asked = t("Asked: {agencies}.", agencies=view.silent) if view.silent else t("Nobody is asked.")
    return Post(card(line(Strong(title(view.alert))), line(sent, " ", asked)), about=view.alert.ref)


def _names(rooms: Sequence[Room]) -> tuple[str, ...]:
    return tuple(room.name or room.room_id for room in rooms)
