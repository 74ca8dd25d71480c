"""The rules of alerts: tables of inputs, and properties that hold for every order of events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.alerts.rules import (
    LADDER,
    LIFETIME,
    LONGEST_HEADLINE,
    PATIENCE,
    AckPolicy,
    Severity,
    Stand,
    asked_anew,
    climbed,
    counting,
    due,
    expires_at,
    folded,
    is_late,
    is_patience,
    is_refused,
    is_settled,
    may_answer_unsigned,
    next_deadline,
    rested,
    resumed,
    same_as,
    shortened,
    silent,
    stands,
)
from storage.alerts import ACTIVE, ALL_CLEAR, Alert, Answered, Asked

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def an_alert(**changes: object) -> Alert:
    alert = Alert(
        number=1,
        version=1,
        round=1,
        state=ACTIVE,
        severity="severe",
        headline="Bridge closed",
        agency="RCMP",
        author="@anna:rcmp.example",
        room_id="!ops:tandem.example",
        policy="each",
        patience_seconds=600,
        raised_at=NOON,
        updated_at=NOON,
        expires_at=NOON + timedelta(hours=8),
    )
    return replace(alert, **changes)  # type: ignore[arg-type]  # names of its fields


def an_answer(
    agency: str, answer: str = "ack", *, signed: bool = True, at: int = 1, **more: object
) -> Answered:
    answered = Answered(1, agency, f"@{agency}:x.example", answer, None, signed, NOON + at * MINUTE)
    return replace(answered, **more)  # type: ignore[arg-type]  # names of its fields


def asked(*agencies: str) -> list[Asked]:
    return [asked_anew(each, timedelta(minutes=10), NOON) for each in agencies]


@pytest.mark.parametrize(("rung", "minutes"), [(0, 10), (1, 5), (2, 2.5), (3, 1.25), (4, 1), (9, 1)])
def test_each_rung_waits_half_as_long_as_the_one_before_but_never_under_a_minute(
    rung: int, minutes: float
) -> None:
    assert next_deadline(timedelta(minutes=10), rung, NOON) == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize("severity", Severity)
def test_an_alert_never_expires_before_its_ladder_is_climbed(severity: Severity) -> None:
    assert expires_at(severity, PATIENCE[severity], NOON) == NOON + LIFETIME[severity]
    longest = timedelta(hours=24)
    assert expires_at(severity, longest, NOON) >= NOON + timedelta(hours=24 + 12 + 6)


def test_the_worse_the_alert_the_sooner_it_climbs_and_the_sooner_it_ends() -> None:
    assert [PATIENCE[each] for each in Severity] == sorted(PATIENCE.values(), reverse=True)
    assert [LIFETIME[each] for each in Severity] == sorted(LIFETIME.values(), reverse=True)


@pytest.mark.parametrize(
    ("span", "good"),
    [
        (timedelta(seconds=59), False),
        (timedelta(0), False),
        (-MINUTE, False),
        (MINUTE, True),
        (timedelta(hours=24), True),
        (timedelta(hours=24, seconds=1), False),
    ],
)
def test_a_first_deadline_is_one_minute_to_a_day_away(span: timedelta, good: bool) -> None:
    assert is_patience(span) is good


@pytest.mark.parametrize(
    ("answers", "counts"),
    [
        ([], None),
        ([an_answer("CBP", signed=False)], "ack"),
        ([an_answer("CBP"), an_answer("CBP", "unable", at=2)], "unable"),
        ([an_answer("CBP", "unable"), an_answer("CBP", signed=False, at=2)], "unable"),
        ([an_answer("OPP")], None),
    ],
)
def test_the_last_signed_answer_counts_and_no_reaction_replaces_it(
    answers: list[Answered], counts: str | None
) -> None:
    found = counting(answers, "CBP")
    assert (found.answer if found else None) == counts


def test_an_answer_of_an_earlier_round_or_one_taken_back_counts_no_more() -> None:
    old = an_answer("CBP")
    back = an_answer("OPP", signed=False, withdrawn_at=NOON)
    board = stands(an_alert(round=2), asked("CBP", "OPP"), [old, replace(back, round=2)])
    assert [each.answer for each in board] == [None, None]


def test_an_agency_that_came_later_is_shown_but_owes_nothing() -> None:
    board = stands(an_alert(), asked("CBP"), [an_answer("USCG")])
    assert [(each.agency, each.asked is None) for each in board] == [("CBP", False), ("USCG", True)]
    assert [each.agency for each in silent(an_alert(), board)] == ["CBP"]


@pytest.mark.parametrize(
    ("policy", "answers", "quiet"),
    [
        ("each", [], ["CBP", "OPP"]),
        ("each", [an_answer("CBP", "unable")], ["OPP"]),
        ("none", [], []),
        ("any", [], ["CBP", "OPP"]),
        ("any", [an_answer("CBP")], []),
        ("any", [an_answer("CBP", "help")], []),
        ("any", [an_answer("CBP", "unable")], ["OPP"]),
        ("any", [an_answer("CBP", "decline"), an_answer("OPP")], []),
    ],
)
def test_who_owes_an_answer_depends_on_the_policy(
    policy: str, answers: list[Answered], quiet: list[str]
) -> None:
    alert = an_alert(policy=policy)
    board = stands(alert, asked("CBP", "OPP"), answers)
    assert [each.agency for each in silent(alert, board)] == quiet
    assert is_settled(alert, board) is (policy != "none" and not quiet)


@pytest.mark.parametrize(
    ("answers", "settled", "refused"),
    [
        ([an_answer("RCMP", "raised"), an_answer("RCMP")], False, False),
        ([an_answer("CBP", "unable")], False, False),
        ([an_answer("CBP", "unable"), an_answer("OPP", "decline")], False, True),
        ([an_answer("RCMP"), an_answer("CBP", "unable"), an_answer("OPP", "decline")], False, True),
        ([an_answer("CBP", "unable"), an_answer("OPP", "accept")], True, False),
        ([an_answer("USCG")], True, False),
    ],
)
def test_any_is_answered_only_by_another_agency_that_takes_it_on(
    answers: list[Answered], settled: bool, refused: bool
) -> None:
    alert = an_alert(policy="any")
    raised = an_answer("RCMP", "raised", at=0)
    board = stands(alert, asked("CBP", "OPP", "RCMP"), [raised, *answers])
    assert (is_settled(alert, board), is_refused(alert, board)) == (settled, refused)


def test_an_alert_that_asks_nobody_else_is_never_reported_as_answered_by_all() -> None:
    alert = an_alert()
    assert not is_settled(alert, stands(alert, asked("RCMP"), [an_answer("RCMP", "raised")]))


@pytest.mark.parametrize(
    ("alert", "minutes", "agencies"),
    [
        (an_alert(), 9, []),
        (an_alert(), 10, ["CBP"]),
        (an_alert(state=ALL_CLEAR), 10, []),
        (an_alert(policy="none"), 10, []),
        (an_alert(), 8 * 60, []),
    ],
)
def test_due_are_the_silent_ones_of_an_alert_that_is_not_over(
    alert: Alert, minutes: int, agencies: list[str]
) -> None:
    board = stands(alert, asked("CBP", "OPP"), [an_answer("OPP")])
    assert [each.agency for each in due(alert, board, NOON + minutes * MINUTE)] == agencies


def test_a_rung_that_reaches_nobody_makes_the_next_one_due_at_once() -> None:
    (cbp,) = asked("CBP")
    assert climbed(cbp, timedelta(minutes=10), NOON, reached=False).due_at == NOON
    assert climbed(cbp, timedelta(minutes=10), NOON, reached=True).due_at == NOON + 5 * MINUTE


def test_an_answer_taken_back_leaves_a_minute_for_another_one() -> None:
    (cbp,) = asked("CBP")
    patience = timedelta(minutes=10)
    assert resumed(cbp, patience, NOON).due_at == NOON + 10 * MINUTE
    assert resumed(cbp, patience, NOON + 30 * MINUTE).due_at == NOON + 31 * MINUTE
    at_the_end = replace(cbp, rung=len(LADDER), due_at=None)
    assert resumed(at_the_end, patience, NOON) == replace(cbp, rung=len(LADDER) - 1, due_at=NOON + MINUTE)


def test_who_was_off_the_ladder_comes_back_to_the_deadline_it_had() -> None:
    (cbp,) = asked("CBP")
    assert rested(cbp).due_at is None
    assert resumed(rested(cbp), timedelta(minutes=10), NOON + MINUTE) == cbp
    asked_again = replace(cbp, rung=1, due_at=None)
    assert resumed(asked_again, timedelta(minutes=10), NOON).due_at == NOON + MINUTE


def test_where_nobody_is_asked_nothing_falls_due() -> None:
    assert asked_anew("CBP", timedelta(minutes=10), NOON, AckPolicy.NONE).due_at is None


@pytest.mark.parametrize(
    ("severity", "counts"),
    [
        (Severity.MINOR, True),
        (Severity.MODERATE, True),
        (Severity.SEVERE, False),
        (Severity.EXTREME, False),
    ],
)
def test_a_reaction_never_counts_for_severe_and_extreme(severity: Severity, counts: bool) -> None:
    assert may_answer_unsigned(severity) is counts


def test_more_than_a_minute_after_its_time_is_late() -> None:
    assert not is_late(NOON, NOON + MINUTE)
    assert is_late(NOON, NOON + MINUTE + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Bridge closed", "bridge   CLOSED!", True),
        ("Pont fermé", "PONT FERMÉ.", True),
        ("Bridge closed", "Bridge open", False),
        ("Pier 4", "Pier 5", False),
        ("Depth < 5 m", "Depth > 5 m", False),
        ("Fire 🔥", "Fire 💧", False),
        ("🔥", "💧", False),
        ("???", "!!!", False),
        ("Bridge-closed", "Bridge closed", True),
    ],
)
def test_headlines_are_the_same_if_only_case_spaces_and_punctuation_differ(
    one: str, other: str, same: bool
) -> None:
    assert (folded(one) == folded(other)) is same


def test_the_same_headline_for_a_room_that_has_not_had_it_is_no_duplicate() -> None:
    earlier = [(an_alert(), ["!ops", "!sea"])]
    assert same_as("bridge closed", ["!ops"], earlier) == an_alert()
    assert same_as("bridge closed", ["!ops", "!air"], earlier) is None
    assert same_as("bridge open", ["!ops"], earlier) is None


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("Bridge closed", "Bridge closed"),
        ("x" * 200, "x" * 160),
        ("word " * 40, ("word " * 32).strip()),
        ("a" * 159 + ", then more", "a" * 159),
    ],
)
def test_a_headline_is_cut_between_words(long: str, short: str) -> None:
    assert shortened(long) == short
    assert len(shortened(long)) <= LONGEST_HEADLINE


# Every order of events

AGENCIES = ("CBP", "OPP", "USCG")
EVENTS = st.one_of(
    st.tuples(st.just("answer"), st.sampled_from(AGENCIES), st.booleans()),
    st.tuples(st.just("withdraw"), st.sampled_from(AGENCIES), st.booleans()),
    st.tuples(st.just("pass"), st.integers(0, 40), st.booleans()),
    st.tuples(st.just("close"), st.just(0), st.booleans()),
)


class Course:
    """An alert on its way through a list of events, by the rules alone."""

    def __init__(self, policy: AckPolicy) -> None:
        self.alert = an_alert(policy=policy.value)
        self.asked = {each.agency: each for each in asked(*AGENCIES)}
        self.answers: list[Answered] = []
        self.now = NOON

    def happens(self, event: tuple[str, object, bool]) -> None:
        """One event; time then ticks once."""
        what, about, flag = event
        if what == "answer" and self.alert.state == ACTIVE:
            self.answers.append(an_answer(str(about), signed=flag))
        elif what == "withdraw" and self.alert.state == ACTIVE:
            self.withdraw(str(about))
        elif what == "pass":
            assert isinstance(about, int)
            self.now += about * MINUTE
        elif what == "close" and flag:
            self.alert = replace(self.alert, state=ALL_CLEAR)
        self.tick()

    def withdraw(self, agency: str) -> None:
        """Its last reaction is taken off."""
        for at, each in reversed(list(enumerate(self.answers))):
            if each.agency == agency and not each.signed and each.withdrawn_at is None:
                self.answers[at] = replace(each, withdrawn_at=self.now)
                for stand in silent(self.alert, self.board):
                    assert stand.asked is not None
                    self.asked[stand.agency] = resumed(stand.asked, timedelta(minutes=10), self.now)
                return

    def tick(self) -> list[str]:
        """The agencies that climb now."""
        waiting = due(self.alert, self.board, self.now)
        for each in waiting:
            assert self.alert.state == ACTIVE
            assert counting(self.present, each.agency) is None
            self.asked[each.agency] = climbed(each, self.alert.patience, self.now, reached=True)
        return [each.agency for each in waiting]

    @property
    def present(self) -> list[Answered]:
        return [each for each in self.answers if each.withdrawn_at is None]

    @property
    def board(self) -> list[Stand]:
        return stands(self.alert, self.asked.values(), self.answers)


@given(st.sampled_from(AckPolicy), st.lists(EVENTS, max_size=40))
def test_no_order_of_events_loses_a_silent_agency(
    policy: AckPolicy, events: list[tuple[str, object, bool]]
) -> None:
    course = Course(policy)
    for event in events:
        course.happens(event)
        assert {each.agency for each in course.board} == set(AGENCIES)
        for stand in silent(course.alert, course.board):
            assert stand.asked is not None
            # Still to be told, or told on every rung.
            assert stand.asked.due_at is not None or stand.asked.rung == len(LADDER)


@given(st.sampled_from(AckPolicy), st.lists(EVENTS, max_size=40))
def test_whoever_stays_silent_is_told_on_every_rung_until_the_alert_is_over(
    policy: AckPolicy, events: list[tuple[str, object, bool]]
) -> None:
    course = Course(policy)
    course.alert = replace(course.alert, expires_at=NOON + timedelta(days=30))
    for event in events:
        course.happens(event)
    for _ in LADDER:
        course.now += timedelta(minutes=10)
        course.tick()
    rungs = {each.asked.rung for each in silent(course.alert, course.board) if each.asked}
    assert course.alert.state != ACTIVE or rungs <= {len(LADDER)}


@given(st.lists(EVENTS, max_size=40))
def test_a_closed_alert_and_an_agency_that_has_answered_are_never_escalated(
    events: list[tuple[str, object, bool]],
) -> None:
    course = Course(AckPolicy.EACH_AGENCY)
    for event in events:
        before = dict(course.asked)
        course.happens(event)
        climbed_now = [each for each in AGENCIES if course.asked[each].rung > before[each].rung]
        answered = {each.agency for each in course.present}
        assert not (set(climbed_now) & answered)
        assert course.alert.state == ACTIVE or not climbed_now
