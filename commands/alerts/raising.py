"""Raise an alert: what is refused, which rooms it goes to, whom it asks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from bot.kernel.arguments import in_minutes
from bot.kernel.card import Strong, card, line
from bot.kernel.errors import Conflict, NotUnderstood
from bot.kernel.language import Text, t, tn
from bot.kernel.moments import read_moment, read_span
from bot.kernel.vocabulary import Call, Example, Post, Quoted, Role, Said, Wait
from bot.kernel.words import quoted
from commands.alerts.acts import agency_of, note, rung_in, speak
from commands.alerts.capability import alerts
from commands.alerts.cards import standing_card, title
from commands.alerts.rules import (
    LONGEST_HEADLINE,
    LONGEST_PATIENCE,
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
from commands.alerts.targets import names_of_rooms, targets
from commands.alerts.views import View, present, view_of
from storage.alerts import ACTIVE, Alert
from storage.rooms import Room


@alerts.command(
    "alert",
    role=Role.LIAISON,
    french=["alerte"],
    names={
        "severity": "gravité",
        "headline": "titre",
        "to": "à",
        "ack": "accusé",
        "in_": "dans",
        "for_": "pour",
    },
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
            '!alert severe "Bridge closed" for=CBP', answers="You may not speak for CBP here", refused=True
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
    in_: Wait | None = None,
    for_: str | None = None,
) -> list[Said]:
    """Raise an alert. It stays open until every agency in its rooms has answered.

    Without `to` it goes to this room; `to=ops` or `to=ops,marine` to every room with that tag. `for=OPP`
    speaks for an agency that is not your own, if you have the role for it. `in=10m` or `in=14:30` is the
    time to answer in; `ack=any` asks for one answer in all, `ack=none` for none.
    """
    said = checked_headline(headline)
    patience = wait_of(in_, severity, call.now, call.voice.zone)
    agency = agency_of(call, Role.LIAISON, for_)
    rooms = await targets(call, to, agency)
    await _check_not_said(call, said, agency, rooms)
    alert = await _record(call, _new(call, severity, said, agency, ack, patience), rooms)
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
            instead=quoted(shortened(said)),
        )
    return said


def wait_of(typed: str | None, severity: Severity, now: datetime, zone: tzinfo) -> timedelta:
    """The time to the first deadline; NotUnderstood if it is not between one minute and 24 hours."""
    if typed is None:
        return PATIENCE[severity]
    usual = f"{int(PATIENCE[severity].total_seconds() // 60)}m"
    try:
        wait = _wait(typed, now, zone)
    except NotUnderstood as error:
        error.argument, error.instead = "in_", usual
        raise
    if wait is not None and is_patience(wait):
        return wait
    raise NotUnderstood(
        t("{typed} is not a time.", typed=typed) if wait is None else _unfit(wait, now),
        argument="in_",
        allowed=t("A deadline is 1 min to 24 h away."),
        instead=(in_minutes(typed) if wait is None else None) or usual,
    )


def _wait(typed: str, now: datetime, zone: tzinfo) -> timedelta | None:
    """From `10m` or `14:30`; None if it is neither."""
    length = read_span(typed)
    by = read_moment(typed, now, zone) if length is None else None
    return by - now if by else length


def _unfit(wait: timedelta, now: datetime) -> Text:
    if wait < timedelta(0):
        return t("{end} is in the past.", end=now + wait)
    if wait < LONGEST_PATIENCE:
        return t("Nobody can answer within {span}.", span=wait)
    return t("{span} is too long to wait for an answer.", span=wait)


async def _check_not_said(call: Call, headline: str, agency: str, rooms: Sequence[Room]) -> None:
    recent = await call.tx.alerts.raised_since(agency, call.now - SAME_WITHIN)
    earlier = [(alert, await call.tx.alerts.rooms(alert.number)) for alert in recent]
    same = same_as(headline, [room.room_id for room in rooms], earlier)
    if same is None:
        return
    raise Conflict(
        t("{ref} looks the same: {headline}.", ref=same.ref, headline=same.headline),
        argument="headline",
        allowed=t("Update it, or say something else."),
        example=f"!alert who {same.ref}",
    )


def _new(
    call: Call, severity: Severity, headline: str, agency: str, ack: AckPolicy, patience: timedelta
) -> Alert:
    return Alert(
        number=0,  # given when it is kept
        version=1,
        round=1,
        state=ACTIVE,
        severity=severity.value,
        headline=headline,
        agency=agency,
        author=call.who.user_id,
        room_id=call.room.room_id,
        policy=ack.value,
        patience_seconds=int(patience.total_seconds()),
        raised_at=call.now,
        updated_at=call.now,
        expires_at=expires_at(severity, patience, call.now),
    )


async def _record(call: Call, new: Alert, rooms: Sequence[Room]) -> Alert:
    alert = replace(new, number=await call.tx.alerts.next_number())
    room_ids = [room.room_id for room in rooms]
    there = {member.agency for member in await present(call.tx, room_ids)}
    agencies, policy = sorted(there | {alert.agency}), AckPolicy(alert.policy)
    asked = [asked_anew(each, alert.patience, call.now, policy) for each in agencies]
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
        "Sent to {count} room: {rooms}.",
        "Sent to {count} rooms: {rooms}.",
        len(rooms),
        rooms=names_of_rooms(rooms),
    )
    asked = t("Asked: {agencies}.", agencies=view.silent) if view.silent else t("Nobody is asked.")
    return Post(card(line(Strong(title(view.alert))), line(sent, " ", asked)), about=view.alert.ref)
