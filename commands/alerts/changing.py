"""Update an alert; say that it was wrong, or that it is over."""

from dataclasses import replace

from bot.kernel.card import Card, Strong, card, line
from bot.kernel.errors import Conflict, NotAllowed
from bot.kernel.language import Text, t
from bot.kernel.vocabulary import AlertRef, Board, Call, Example, Post, Quoted, Role, Said
from commands.alerts.acts import checked_reason, note, rung_in, speak
from commands.alerts.capability import alerts
from commands.alerts.cards import answer_by, lost_rooms, standing_card
from commands.alerts.raising import checked_headline
from commands.alerts.rules import (
    CORRECTED,
    UPDATED,
    AckPolicy,
    Severity,
    asked_anew,
    expires_at,
    folded,
)
from commands.alerts.views import View, held_open, is_shown_here, may_change, present, view_of
from storage.alerts import ACTIVE, ALL_CLEAR, CANCELLED, Alert


@alerts.command(
    "alert update",
    role=Role.OFFICER,
    french=["alerte modifier"],
    names={"alert": "alerte", "headline": "titre"},
    examples=[
        Example(
            '!alert update A-1 "Bridge closed to lorries only"',
            given=('!alert severe "Bridge closed"',),
            answers="A-1 SEVERE, updated: Bridge closed to lorries only",
        ),
        Example(
            '!alert update A-1 "Bridge closed"',
            given=('!alert severe "Bridge closed"',),
            answers="A-1 says that already",
            refused=True,
        ),
        Example('!alert update A-99 "Bridge closed"', answers="There is no alert A-99", refused=True),
    ],
)
async def update_alert(call: Call, alert: AlertRef, headline: Quoted) -> list[Said]:
    """Change the headline of an alert. If it says something else now, every agency is asked anew."""
    found = await held_open(call, alert)
    _check_may_change(call, found, f'!ack {found.ref} help "…"')
    said = checked_headline(headline)
    if said == found.headline:
        raise Conflict(
            t("{ref} says that already.", ref=found.ref),
            argument="headline",
            allowed=t("Say something else."),
        )
    if folded(said) == folded(found.headline):
        await note(call, found, ACTIVE, CORRECTED)
        view = await _changed(call, found, headline=said)
        return [Board(view.alert.ref, standing_card(view)), t("{ref} is corrected.", ref=found.ref)]
    view = await _asked_anew(call, found, said)
    return [Board(found.ref, standing_card(view)), *await _updates(call, view)]


def _check_may_change(call: Call, alert: Alert, instead: str) -> None:
    if may_change(call, alert):
        return
    raise NotAllowed(
        t("{ref} is an alert of {agency}.", ref=alert.ref, agency=alert.agency),
        allowed=t(
            "Only its author and a liaison, duty officer or supervisor of {agency} may change it.",
            agency=alert.agency,
        ),
        example=instead,
    )


async def _changed(call: Call, alert: Alert, **values: object) -> View:
    if not await call.tx.alerts.change(alert, **values):
        raise Conflict(t("{ref} has just been changed by someone else. Look again.", ref=alert.ref))
    changed = await call.tx.alerts.find(alert.number)
    return await view_of(call.tx, changed or alert)


async def _asked_anew(call: Call, alert: Alert, headline: str) -> View:
    new = replace(alert, round=alert.round + 1)
    before = {each.agency for each in await call.tx.alerts.asked(alert.number)}
    there = {each.agency for each in await present(call.tx, await call.tx.alerts.rooms(alert.number))}
    agencies = sorted(before | there | {alert.agency})
    await call.tx.alerts.ask(
        alert.number,
        [asked_anew(agency, alert.patience, call.now, AckPolicy(alert.policy)) for agency in agencies],
    )
    await speak(call, new, UPDATED)
    await note(call, alert, ACTIVE, UPDATED)
    end = expires_at(Severity(alert.severity), alert.patience, call.now)
    return await _changed(
        call, alert, headline=headline, round=new.round, updated_at=call.now, expires_at=end
    )


async def _updates(call: Call, view: View) -> list[Said]:
    alert = view.alert
    said = t(
        "{ref} {severity}, updated: {headline}",
        ref=alert.ref,
        severity=view.severity.capitals,
        headline=alert.headline,
    )
    rows = [line(Strong(said))]
    if view.silent:
        rows += [line(t("Earlier answers no longer count.")), line(*answer_by(view))]
    return await _told(call, view, card(rows), ring=True)


async def _told(call: Call, view: View, shown: Card, *, ring: bool) -> list[Said]:
    """The card as a new message in each room of the alert, and here if this is none of them."""
    posts: list[Said] = [
        Post(
            shown,
            room_id=room.room_id,
            about=view.alert.ref,
            rings=True,
            mentions=await rung_in(call.tx, view, room) if ring else (),
            priority=view.priority,
        )
        for room in view.rooms
    ]
    lost = lost_rooms(view)
    if call.room.room_id in {room.room_id for room in view.rooms}:
        # The message is in the language of the room, which may not be hers.
        alike = call.room.language in (call.voice.language.value, "both")
        own = [] if alike else [line(t("{ref}: done, and its rooms are told.", ref=view.alert.ref))]
        return [*posts, *([card(own, lost)] if own or lost else [])]
    if await is_shown_here(call, view.alert):
        return [*posts, Post(card(shown.blocks, lost), about=view.alert.ref)]
    return [*posts, card(t("{ref}: done, and its rooms are told.", ref=view.alert.ref), lost)]


@alerts.command(
    "alert cancel",
    role=Role.OFFICER,
    french=["alerte annuler"],
    names={"alert": "alerte", "reason": "motif"},
    examples=[
        Example(
            '!alert cancel A-1 "wrong bridge"',
            given=('!alert severe "Bridge closed"',),
            answers="A-1 is CANCELLED: it was wrong",
        ),
        Example(
            '!alert cancel A-1 ""',
            given=('!alert severe "Bridge closed"',),
            answers="reason is empty",
            refused=True,
        ),
    ],
)
async def cancel_alert(call: Call, alert: AlertRef, reason: Quoted) -> list[Said]:
    """Take back an alert that was wrong. It ends; nobody is asked any more. What is over, clear instead."""
    found = await held_open(call, alert)
    _check_may_change(call, found, f'!ack {found.ref} decline "…"')
    view = await _closed(call, found, CANCELLED, checked_reason(reason, "reason"))
    said = t("{ref} is CANCELLED: it was wrong. {headline}", ref=found.ref, headline=found.headline)
    return [Board(found.ref, standing_card(view)), *await _ended(call, view, said)]


@alerts.command(
    "alert clear",
    "alert all clear",
    "alert close",
    "alert end",
    "alert over",
    role=Role.OFFICER,
    french=["alerte terminer", "alerte fin", "alerte fermer", "alerte lever"],
    names={"alert": "alerte", "remark": "remarque"},
    examples=[
        Example(
            '!alert clear A-1 "bridge open again"',
            given=('!alert severe "Bridge closed"',),
            answers="A-1 ALL CLEAR: it is over",
        ),
        Example(
            "!alert clear A-1",
            given=('!alert severe "Bridge closed"', "!alert clear A-1"),
            answers="A-1 is closed: all clear",
            refused=True,
        ),
    ],
)
async def clear_alert(call: Call, alert: AlertRef, remark: Quoted | None = None) -> list[Said]:
    """Say that an alert is over: all clear. It ends; nobody is asked any more."""
    found = await held_open(call, alert)
    _check_may_change(call, found, f"!ack {found.ref}")
    view = await _closed(call, found, ALL_CLEAR, checked_reason(remark, "remark"))
    said = t("{ref} ALL CLEAR: it is over. {headline}", ref=found.ref, headline=found.headline)
    return [Board(found.ref, standing_card(view)), *await _ended(call, view, said)]


async def _closed(call: Call, alert: Alert, state: str, reason: str | None) -> View:
    await note(call, alert, ACTIVE, state, reason)
    return await _changed(
        call, alert, state=state, closed_at=call.now, closed_by=call.who.user_id, closed_reason=reason
    )


async def _ended(call: Call, view: View, said: Text) -> list[Said]:
    alert = view.alert
    by = t("{name}, {agency}", name=view.name(alert.closed_by), agency=alert.agency)
    reason = [f": {alert.closed_reason}"] if alert.closed_reason else []
    return await _told(call, view, card(line(Strong(said)), line(by, *reason)), ring=False)
