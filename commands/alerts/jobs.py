"""What time does to alerts: silent agencies are told again, rung by rung; what nobody closed expires."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from bot.kernel.card import Card, Strong, card, line
from bot.kernel.language import Text, ToType, t, tn
from bot.kernel.vocabulary import Board, Post, Role, Said, Tick
from commands.alerts.capability import alerts
from commands.alerts.cards import standing_card, title
from commands.alerts.rules import LADDER, WITHOUT_SUPERVISOR, Rung, climbed, due, is_late
from commands.alerts.views import View, present, said_to_author, view_of
from storage.alerts import ACTIVE, EXPIRED, Alert, Asked
from storage.audit import Entry
from storage.members import Member
from storage.transitions import Transition


@alerts.job(every=timedelta(seconds=1))
async def escalate(tick: Tick) -> Sequence[Said]:
    """Move each agency that is silent past its deadline one rung up, and tell that rung."""
    said: list[Said] = []
    for number in await tick.tx.alerts.with_deadline_by(tick.now):
        alert = await tick.tx.alerts.hold(number)
        if alert is None:
            continue
        view = await view_of(tick.tx, alert)
        waiting = due(alert, view.board, tick.now)
        for rung in sorted({each.rung for each in waiting}):
            said += await _TELL[LADDER[rung]](tick, view, [each for each in waiting if each.rung == rung])
        if waiting and await tick.tx.alerts.change(alert):
            said.append(Board(alert.ref, standing_card(await view_of(tick.tx, alert))))
    return said


async def _tell_rooms(tick: Tick, view: View, waiting: Sequence[Asked]) -> list[Said]:
    """Ring the silent agencies' people in the rooms of the alert."""
    quiet = {each.agency for each in waiting}
    posts: list[Said] = []
    reached: set[str] = set()
    for room in view.rooms:
        there = [each for each in await present(tick.tx, [room.room_id]) if each.agency in quiet]
        if there:
            agencies = tuple(sorted({each.agency for each in there}))
            reached |= set(agencies)
            posts.append(_ring(view, _asked_again(tick, view, waiting, agencies), room.room_id, there))
    for each in waiting:
        await _climb(tick, view, each, Rung.ROOMS.value, reached=each.agency in reached)
    return posts


def _asked_again(tick: Tick, view: View, waiting: Sequence[Asked], agencies: tuple[str, ...]) -> Card:
    said = t("No answer yet from {agencies}.", agencies=agencies)
    return card(
        line(Strong(title(view.alert))),
        line(said, *_late(tick, waiting), " ", t("Answer now:"), " ", ToType(f"!ack {view.alert.ref}")),
    )


def _late(tick: Tick, waiting: Sequence[Asked]) -> tuple[Text | str, ...]:
    first = min(each.due_at for each in waiting if each.due_at is not None)
    return (" ", t("(Late: due at {at}.)", at=first)) if is_late(first, tick.now) else ()


def _ring(view: View, shown: Card, room_id: str, people: Sequence[Member]) -> Post:
    return Post(
        shown,
        room_id=room_id,
        about=view.alert.ref,
        rings=True,
        mentions=tuple(each.user_id for each in people),
        priority=view.priority,
    )


async def _tell_supervisors(tick: Tick, view: View, waiting: Sequence[Asked]) -> list[Said]:
    """Tell each silent agency's supervisors; where there are none, the author and the admins."""
    posts: list[Said] = []
    unsupervised: list[str] = []
    for each in waiting:
        bosses = await tick.tx.members.holders(Role.SUPERVISOR.value, tick.now, each.agency)
        told = [_direct(view, _to_supervisor(tick, view, each, boss), boss) for boss in bosses]
        told += await _to_those_in_rooms(tick, view, each, {boss.user_id for boss in bosses})
        posts += told
        if told:
            await _climb(tick, view, each, Rung.SUPERVISORS.value)
        else:
            unsupervised.append(each.agency)
            await _climb(tick, view, replace(each, without_supervisor=True), WITHOUT_SUPERVISOR)
    return [*posts, *(await _say_unsupervised(tick, view, unsupervised) if unsupervised else ())]


async def _to_those_in_rooms(tick: Tick, view: View, asked: Asked, told: Collection[str]) -> list[Post]:
    """Ring supervisors of one room in that room: anywhere else they could not answer."""
    posts = []
    for room in view.rooms:
        there = await tick.tx.rooms.present(room.room_id)
        of_room = await tick.tx.members.holders(
            Role.SUPERVISOR.value, tick.now, asked.agency, room_id=room.room_id
        )
        bosses = [each for each in of_room if each.user_id in there and each.user_id not in told]
        if bosses:
            posts.append(_ring(view, _to_supervisors_here(tick, view, asked, bosses), room.room_id, bosses))
    return posts


def _to_supervisors_here(tick: Tick, view: View, asked: Asked, bosses: Sequence[Member]) -> Card:
    said = t(
        "{agency} has not answered for {span}. Its supervisor here: {names}.",
        agency=asked.agency,
        span=tick.now - asked.asked_at,
        names=tuple(each.name or each.user_id for each in bosses),
    )
    return _to_answer_for(tick, view, asked, said, ToType(f"!ack {view.alert.ref}"))


def _to_supervisor(tick: Tick, view: View, asked: Asked, boss: Member) -> Card:
    said = t(
        "{agency} has not answered for {span}. You are its supervisor.",
        agency=asked.agency,
        span=tick.now - asked.asked_at,
    )
    home = "" if boss.agency == asked.agency else f" for={asked.agency}"
    return _to_answer_for(tick, view, asked, said, ToType(f"!ack {view.alert.ref}{home}"))


def _to_answer_for(tick: Tick, view: View, asked: Asked, said: Text, command: ToType) -> Card:
    return card(
        line(Strong(title(view.alert))),
        line(said, *_late(tick, [asked])),
        line(t("Have it answered, or answer for it:"), " ", command),
    )


def _direct(view: View, shown: Card, member: Member) -> Post:
    return Post(
        shown,
        to_user=member.user_id,
        about=view.alert.ref,
        rings=True,
        mentions=(member.user_id,),
        priority=view.priority,
    )


async def _say_unsupervised(tick: Tick, view: View, agencies: Sequence[str]) -> list[Said]:
    """One message to the author, and one to each admin, about all agencies without a supervisor."""
    alert = view.alert
    author = tn(
        "{ref}: {agencies} is silent and has no supervisor to tell. Call its desk.",
        "{ref}: {agencies} are silent and have no supervisors to tell. Call their desks.",
        len(agencies),
        ref=alert.ref,
        agencies=tuple(agencies),
    )
    # An admin looks after the bot, and does not read what officers write: no headline.
    admin = tn(
        "{ref}: {agencies} is silent, and has no supervisor that I could tell.",
        "{ref}: {agencies} are silent, and have no supervisors that I could tell.",
        len(agencies),
        ref=alert.ref,
        agencies=tuple(agencies),
    )
    grants = (ToType(f"!grant @name supervisor agency={agency}") for agency in agencies)
    to_admin = card(line(admin), *(line(t("Make someone its supervisor:"), " ", each) for each in grants))
    admins = await tick.tx.members.holders(Role.ADMIN.value, tick.now)
    post = Post(card(author), about=alert.ref, priority=view.priority)
    return [
        *await said_to_author(tick.tx, view, post, tick.now),
        *(_direct(view, to_admin, each) for each in admins if each.user_id != alert.author),
    ]


async def _tell_author(tick: Tick, view: View, waiting: Sequence[Asked]) -> list[Said]:
    """The ladder is at its end: whoever raised the alert must use the telephone."""
    agencies = tuple(each.agency for each in waiting)
    for each in waiting:
        await _climb(tick, view, each, Rung.AUTHOR.value)
    said = t("Still no answer from {agencies}. I have told all I can: call them.", agencies=agencies)
    shown = card(line(Strong(title(view.alert))), line(said, *_late(tick, waiting)))
    post = Post(shown, about=view.alert.ref, priority=view.priority)
    return list(await said_to_author(tick.tx, view, post, tick.now))


_TELL = {Rung.ROOMS: _tell_rooms, Rung.SUPERVISORS: _tell_supervisors, Rung.AUTHOR: _tell_author}


async def _climb(tick: Tick, view: View, asked: Asked, step: str, *, reached: bool = True) -> None:
    higher = climbed(asked, view.alert.patience, tick.now, reached=reached)
    await tick.tx.alerts.ask(view.alert.number, [higher])
    await tick.tx.transitions.add(Transition(f"{view.alert.ref}/{asked.agency}", "silent", step, tick.now))
    await tick.tx.audit.add(
        Entry(
            tick.now,
            "job",
            "alert.escalate",
            agency=asked.agency,
            object=view.alert.ref,
            reason_code=step,
        )
    )


@alerts.job(every=timedelta(seconds=10))
async def expire(tick: Tick) -> Sequence[Said]:
    """End each alert whose time is over; its author is told whom it never had an answer from."""
    said: list[Said] = []
    for number in await tick.tx.alerts.expired(tick.now):
        alert = await tick.tx.alerts.hold(number)
        if alert is None or alert.state != ACTIVE:
            continue
        before = await view_of(tick.tx, alert)
        await tick.tx.alerts.change(alert, state=EXPIRED, closed_at=tick.now)
        await _note_end(tick, alert)
        after = await view_of(tick.tx, await tick.tx.alerts.find(number) or alert)
        said.append(Board(alert.ref, standing_card(after)))
        if before.silent:
            post = Post(_never_answered(after, before.silent), about=alert.ref, priority=after.priority)
            said += await said_to_author(tick.tx, after, post, tick.now)
    return said


async def _note_end(tick: Tick, alert: Alert) -> None:
    await tick.tx.transitions.add(Transition(alert.ref, ACTIVE, EXPIRED, tick.now))
    entry = Entry(tick.now, "job", "alert.expire", agency=alert.agency, object=alert.ref)
    await tick.tx.audit.add(entry)


def _never_answered(view: View, agencies: tuple[str, ...]) -> Card:
    return card(
        line(Strong(title(view.alert))),
        line(t("{agencies} never answered. Raise it again if it is not over.", agencies=agencies)),
    )
