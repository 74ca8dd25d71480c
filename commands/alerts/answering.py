"""Answer an alert for one's agency: by command, which is signed, or by a reaction, which is not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from bot.kernel.card import card, line
from bot.kernel.errors import NotFound, NotUnderstood
from bot.kernel.language import Text, ToType, t, tn
from bot.kernel.vocabulary import (
    AlertRef,
    Board,
    Call,
    Example,
    Post,
    Quoted,
    Reacted,
    Reaction,
    Ref,
    Role,
    Said,
    Unmoved,
    agencies_with,
    speaks_for,
)
from commands.alerts.acts import agency_of, checked_reason, reckoned
from commands.alerts.capability import alerts
from commands.alerts.cards import ANSWERS, standing_card, title
from commands.alerts.rules import (
    SILENT,
    TAKEN,
    WITHDRAWN,
    Answer,
    Severity,
    is_refused,
    is_settled,
    may_answer_unsigned,
)
from commands.alerts.views import View, held_open, is_shown_here, may_read, number_of, said_to_author, view_of
from storage.alerts import ACTIVE, Alert, Answered
from storage.transitions import Transition

TICK = "✅"
MOST_CHOICES = 5  # of several alerts; a telephone shows no more beside the refusal
_ONCE = timedelta(days=366)  # longer than any alert can be open


@alerts.command(
    "ack",
    role=Role.OFFICER,
    french=["accuser"],
    names={"alert": "alerte", "answer": "réponse", "why": "motif", "for_": "pour"},
    examples=[
        Example(
            "!ack A-1", given=('!alert severe "Bridge closed"',), answers="A-1: your answer is on record"
        ),
        Example("!ack", given=('!alert severe "Bridge closed"',), answers="A-1: your answer is on record"),
        Example(
            '!ack A-1 unable "no boat before noon"',
            given=('!alert severe "Vessel adrift"',),
            answers="unable",
        ),
        Example(
            "!ack A-1 for=RCMP",
            given=('!alert severe "Bridge closed"',),
            answers="A-1: your answer is on record: RCMP",
        ),
        Example(
            "!ack A-1 for=CBP",
            given=('!alert severe "Bridge closed"',),
            answers="You may not speak for CBP here",
            refused=True,
        ),
        Example("!ack A-99", answers="There is no alert A-99", refused=True),
        Example("!ack", answers="No alert is active here", refused=True),
        Example(
            "!ack A-1",
            given=('!alert severe "Bridge closed"', "!alert clear A-1"),
            answers="A-1 is closed",
            refused=True,
        ),
    ],
)
async def acknowledge(
    call: Call,
    alert: AlertRef | None = None,
    answer: Answer = Answer.ACK,
    why: Quoted | None = None,
    *,
    for_: str | None = None,
) -> list[Said]:
    """Answer an alert for your agency: ack, accept, help, unable or decline, and why if you like.

    You may answer again; the last answer counts and the earlier ones stay on record. With a role for another
    agency you may answer for that one: `for=OPP`.
    """
    found = await held_open(call, alert or await _only_one(call))
    before = await view_of(call.tx, found)
    answered = _answered(call, found, answer, checked_reason(why, "why"), for_)
    if _is_said_already(before, answered):
        return [Post(card(await _on_record(call, before, answered)), about=found.ref)]
    await call.tx.alerts.answer(found.number, answered)
    await _note_answer(call, before, answered)
    await call.tx.alerts.change(found)
    after = await reckoned(call.tx, before, call.now)
    said = Post(card(await _on_record(call, after, answered)), about=found.ref)
    return [said, Board(found.ref, standing_card(after)), *await _news(call, before, after, answered)]


def _answered(call: Call, alert: Alert, answer: Answer, why: str | None, named: str | None) -> Answered:
    return Answered(
        round=alert.round,
        agency=agency_of(call, Role.OFFICER, named),
        user_id=call.who.user_id,
        answer=answer.value,
        reason=why,
        signed=True,
        at=call.now,
        event_id=call.event_id,
    )


def _is_said_already(view: View, answered: Answered) -> bool:
    """Whether it is the same person's same answer again, which changes no card."""
    counts = next((each.answer for each in view.board if each.agency == answered.agency), None)
    return counts is not None and answered == replace(
        counts, at=answered.at, event_id=answered.event_id, withdrawn_at=None
    )


async def _only_one(call: Call) -> Ref:
    open_ones = [each for each in await call.tx.alerts.active() if await is_shown_here(call, each)]
    if len(open_ones) == 1:
        return Ref(open_ones[0].ref)
    if not open_ones:
        raise NotFound(
            t("No alert is active here."), allowed=t("Give the number of an alert."), example="!alert list"
        )
    raise NotUnderstood(
        t("{count} alerts are active here: say which one.", count=len(open_ones)),
        choices=[title(each) for each in open_ones[:MOST_CHOICES]],
        example="!alert list",
    )


async def _note_answer(call: Call, before: View, answered: Answered) -> None:
    earlier = next((each.answer for each in before.board if each.agency == answered.agency), None)
    await call.tx.transitions.add(
        Transition(
            f"{before.alert.ref}/{answered.agency}",
            earlier.answer if earlier else SILENT,
            answered.answer,
            call.now,
            call.who.user_id,
            call.device_id,
            answered.reason,
            call.event_id,
        )
    )


async def _on_record(call: Call, view: View, answered: Answered) -> Text:
    values = {"ref": view.alert.ref, "agency": answered.agency, "answer": ANSWERS[answered.answer]}
    if not await is_shown_here(call, view.alert):
        return t("{ref}: your answer is on record: {agency} {answer}.", **values)
    if view.silent:
        return t(
            "{ref}: your answer is on record: {agency} {answer}. Still silent: {silent}.",
            silent=view.silent,
            **values,
        )
    if not is_settled(view.alert, view.board):  # nobody else was asked
        return t("{ref}: your answer is on record: {agency} {answer}.", **values)
    return t("{ref}: your answer is on record: {agency} {answer}. Nobody is silent.", **values)


async def _news(call: Call | Reaction, before: View, after: View, answered: Answered) -> list[Said]:
    """What the author must hear: that an agency cannot or needs help, and that all have answered."""
    rows = []
    if answered.answer not in TAKEN or answered.answer == Answer.HELP.value:
        reason = [f": {answered.reason}"] if answered.reason else []
        said = t("{agency} {answer}", agency=answered.agency, answer=ANSWERS[answered.answer])
        rows.append(line(f"{after.alert.ref}: ", said, " · ", after.name(answered.user_id), *reason))
    if is_settled(after.alert, after.board) and not is_settled(before.alert, before.board):
        rows.append(line(_all_answered(after)))
    if is_refused(after.alert, after.board):
        rows.append(line(t("{ref}: no agency can. Call them.", ref=after.alert.ref)))
    if not rows or call.who.user_id == after.alert.author:
        return []
    post = Post(card(rows), about=after.alert.ref, priority=after.priority)
    return list(await said_to_author(call.tx, after, post, call.now))


def _all_answered(view: View) -> Text:
    said = [each.answer.answer for each in view.board if each.answer and each.agency != view.alert.agency]
    values = {"ref": view.alert.ref, "headline": view.alert.headline}
    needs = _needs(said)
    if needs:
        return tn(
            "{ref}: {count} answered, of which {needs}: {headline}",
            "{ref}: {count} answered, of which {needs}: {headline}",
            len(said),
            needs=needs,
            **values,
        )
    return tn(
        "{ref} is answered: {headline}",
        "{ref} is answered by {count} agencies, nobody is silent: {headline}",
        len(said),
        **values,
    )


def _needs(said: Sequence[str]) -> tuple[Text, ...]:
    """Those of the answers that leave something to be done, by kind."""
    count = {each: said.count(each.value) for each in Answer}
    kinds = {
        Answer.UNABLE: tn("{count} unable", "{count} unable", count[Answer.UNABLE]),
        Answer.DECLINE: tn("{count} declines", "{count} decline", count[Answer.DECLINE]),
        Answer.HELP: tn("{count} needs HELP", "{count} need HELP", count[Answer.HELP]),
    }
    return tuple(words for each, words in kinds.items() if count[each])


@alerts.on_reaction("A")
async def react(reaction: Reaction) -> Reacted:
    """A tick on an alert's card answers it unsigned, where that may count; taking it off withdraws."""
    if reaction.key.removesuffix("\ufe0f") != TICK:
        return Unmoved("no_answer")
    alert = await reaction.tx.alerts.hold(number_of(reaction.about))
    agencies = await _may_answer_for(reaction, alert) if alert else ()
    if alert is None or not agencies:
        return Unmoved("not_allowed")
    if reaction.removed:
        return await _withdraw(reaction, alert)
    agency = speaks_for(reaction.who.agency, agencies)
    refusal = _why_not(reaction, alert, agency, agencies)
    if refusal is None and agency is not None:
        return await _answer_unsigned(reaction, alert, agency)
    code, words = refusal or ("no_agency", ())
    return Unmoved(code, await _remind(reaction, alert, words))


async def _may_answer_for(reaction: Reaction, alert: Alert) -> tuple[str, ...]:
    """The agencies for which she may answer where she reacted; none if she may not know of the alert."""
    grants = await reaction.tx.members.grants(reaction.who.user_id, reaction.now)
    agencies = agencies_with(grants, Role.OFFICER, reaction.room.room_id)
    return agencies if agencies and await may_read(reaction, alert, grants) else ()


def _why_not(
    reaction: Reaction, alert: Alert, agency: str | None, agencies: Sequence[str]
) -> tuple[str, tuple[Text | ToType | str, ...]] | None:
    """The reason for the audit record, and in words; None if the reaction counts."""
    severity = Severity(alert.severity)
    command = ToType(f"!ack {alert.ref}" if agency else f"!ack {alert.ref} for={agencies[0]}")
    if alert.state != ACTIVE:
        return "closed", (t("{ref} is closed: {tick} changes nothing.", ref=alert.ref, tick=TICK),)
    if not may_answer_unsigned(severity):
        said = t(
            "{tick} can be forged, so it is no answer to {severity}. Type",
            tick=TICK,
            severity=severity.capitals,
        )
        return "unsigned_severity", (said, " ", command)
    if not reaction.room.reactions:
        return "reactions_off", (t("{tick} is no answer in this room. Type", tick=TICK), " ", command)
    if agency is None:
        return "no_agency", (t("{tick} does not say for which agency. Type", tick=TICK), " ", command)
    return None


async def _remind(
    reaction: Reaction, alert: Alert, refusal: tuple[Text | ToType | str, ...]
) -> Sequence[Said]:
    """One line to who pressed it, once per person and alert: a second tick says nothing new."""
    subject = f"alert.tick {alert.ref} {reaction.who.user_id}"
    if reaction.removed or not await reaction.tx.notices.claim(subject, reaction.now, _ONCE):
        return []
    return [
        Post(
            card(line(*refusal)),
            room_id=reaction.room.room_id,
            about=alert.ref,
            rings=True,
            mentions=(reaction.who.user_id,),
        )
    ]


async def _answer_unsigned(reaction: Reaction, alert: Alert, agency: str) -> Sequence[Said]:
    before = await view_of(reaction.tx, alert)
    answered = Answered(
        round=alert.round,
        agency=agency,
        user_id=reaction.who.user_id,
        answer=Answer.ACK.value,
        reason=None,
        signed=False,
        at=reaction.now,
        event_id=reaction.event_id,
    )
    await reaction.tx.alerts.answer(alert.number, answered)
    await _note_reaction(reaction, agency, SILENT, Answer.ACK.value)
    await reaction.tx.alerts.change(alert)
    after = await reckoned(reaction.tx, before, reaction.now)
    if after.board == before.board:
        return []
    news = await _news(reaction, before, after, answered)
    return [Board(alert.ref, standing_card(after)), *news]


async def _withdraw(reaction: Reaction, alert: Alert) -> Reacted:
    """Take the answer back that this reaction gave. Whoever is silent now is on the ladder again."""
    before = await view_of(reaction.tx, alert)
    if alert.state != ACTIVE:
        return Unmoved("nothing_to_withdraw")
    agency = await reaction.tx.alerts.withdraw(
        alert.number, reaction.event_id, reaction.who.user_id, reaction.now
    )
    if agency is None:
        return Unmoved("nothing_to_withdraw")
    await _note_reaction(reaction, agency, Answer.ACK.value, WITHDRAWN)
    after = await reckoned(reaction.tx, before, reaction.now)
    if after.board == before.board:
        return []
    await reaction.tx.alerts.change(alert)
    return [Board(alert.ref, standing_card(after))]


async def _note_reaction(reaction: Reaction, agency: str, before: str, after: str) -> None:
    await reaction.tx.transitions.add(
        Transition(
            f"{reaction.about}/{agency}",
            before,
            after,
            reaction.now,
            actor=reaction.who.user_id,
            event_id=reaction.event_id,
        )
    )
