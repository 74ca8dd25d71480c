"""A verification by emoji, step by step: two honest sides agree; all else ends it with its code."""

import copy
from collections.abc import Callable

import pytest

from bot.matrix.sas import Cancelled, Code, Message, Party, Sas, Stage
from bot.matrix.wire import Json

BOT = Party("@tandem:a.example", "BOTDEVICE", {"ed25519:BOTDEVICE": "bot-device", "ed25519:bot": "bot"})
ANNA = Party("@anna:b.example", "LAPTOP", {"ed25519:LAPTOP": "laptop", "ed25519:anna": "anna"})
NAMED = {"m.relates_to": {"rel_type": "m.reference", "event_id": "$request"}}


def pair(anna: Party = ANNA, bot: Party = BOT, transaction: str = "$request") -> tuple[Sas, Sas]:
    """Both ends of one verification: Anna's and the bot's."""
    return Sas(anna, BOT, "$request", NAMED), Sas(bot, anna, transaction, NAMED)


def deliver(messages: list[Message], to: Sas, back: Sas) -> None:
    """Carry messages to and fro until nobody has anything to say."""
    while messages:
        answers = [answer for kind, content in messages for answer in to.receive(kind, content)]
        messages, to, back = answers, back, to


def shown(anna: Sas, bot: Sas, *, bot_starts: bool = False) -> None:
    """Go on until both sides show their emoji."""
    if bot_starts:
        deliver(bot.start(), anna, bot)
    else:
        deliver(anna.start(), bot, anna)


@pytest.mark.parametrize("bot_starts", [False, True])
@pytest.mark.parametrize("anna_first", [False, True])
def test_two_honest_sides_show_the_same_and_prove_both_keys(bot_starts: bool, anna_first: bool) -> None:
    anna, bot = pair()
    shown(anna, bot, bot_starts=bot_starts)
    assert anna.emoji == bot.emoji
    assert anna.decimals == bot.decimals
    assert (len(bot.emoji), len(bot.decimals)) == (7, 3)
    first, second = (anna, bot) if anna_first else (bot, anna)
    deliver(first.confirm(), second, first)
    assert not bot.is_proven
    assert not anna.is_proven
    deliver(second.confirm(), first, second)
    assert bot.is_proven
    assert anna.is_proven
    assert bot.stage is Stage.OVER


def test_if_both_start_the_smaller_user_id_counts() -> None:
    anna, bot = pair()
    hers, ours = anna.start(), bot.start()
    deliver(ours, anna, bot)  # she drops it
    deliver(hers, bot, anna)
    assert anna.emoji == bot.emoji != ()
    smaller = Party("@aaa:a.example", "BOTDEVICE", BOT.keys)
    anna, bot = Sas(ANNA, smaller, "$request", NAMED), Sas(smaller, ANNA, "$request", NAMED)
    hers, ours = anna.start(), bot.start()
    deliver(hers, bot, anna)
    deliver(ours, anna, bot)
    assert anna.emoji == bot.emoji != ()


def test_somebody_in_between_makes_the_emoji_differ() -> None:
    """Mallory speaks with each under the other's name; the commitment leaves her one guess."""
    anna, bot = pair()
    to_anna, to_bot = Sas(BOT, ANNA, "$request", NAMED), Sas(ANNA, BOT, "$request", NAMED)
    shown(anna, to_anna)
    deliver(to_bot.start(), bot, to_bot)
    assert anna.emoji != bot.emoji or anna.decimals != bot.decimals


@pytest.mark.parametrize(
    "transaction_and_other",
    [("$another", ANNA), ("$request", Party(ANNA.user_id, "PHONE", ANNA.keys))],
)
def test_what_was_agreed_for_something_else_does_not_match(transaction_and_other: tuple[str, Party]) -> None:
    transaction, other = transaction_and_other
    anna, bot = Sas(ANNA, BOT, "$request", NAMED), Sas(BOT, other, transaction, NAMED)
    deliver(bot.start(), Sas(other, BOT, transaction, NAMED), bot)
    start = anna.start()[0][1] | {"from_device": other.device_id}
    again = Sas(BOT, other, transaction, NAMED)
    [(_, accept)] = again.receive("start", start)
    assert accept["commitment"] != bot._commitment
    # Only the start itself binds the commitment; the info string binds the rest.
    assert again._info("x") != Sas(BOT, ANNA, "$request", NAMED)._info("x")


Change = Callable[[Json], object]


def broken(kind: str, change: Change, *, bot_starts: bool) -> Code:
    """The code with which the bot ends it, if one message of Anna's is not as it should be."""
    anna, bot = pair()
    messages = [("bot", each) for each in (bot.start() if bot_starts else [])]
    messages += [("anna", each) for each in ([] if bot_starts else anna.start())]
    while messages:
        by, (name, content) = messages.pop(0)
        if by == "anna" and name == kind:
            content = copy.deepcopy(content)
            change(content)
        try:
            answers = (bot if by == "anna" else anna).receive(name, content)
        except Cancelled as cancelled:
            assert by == "anna"
            return cancelled.code
        messages += [("bot" if by == "anna" else "anna", each) for each in answers]
        if not messages and kind == "mac" and anna.stage is Stage.COMPARE:
            messages = [("anna", each) for each in anna.confirm()]
    raise AssertionError("the bot went on")


@pytest.mark.parametrize(
    ("kind", "change", "code"),
    [
        ("start", lambda each: each.update(method="m.reciprocate.v1"), Code.UNKNOWN_METHOD),
        ("start", lambda each: each.update(hashes=["md5"]), Code.UNKNOWN_METHOD),
        ("start", lambda each: each.update(hashes={"sha256": 1}), Code.UNKNOWN_METHOD),
        ("start", lambda each: each.update(key_agreement_protocols=["curve25519"]), Code.UNKNOWN_METHOD),
        (
            "start",
            lambda each: each.update(message_authentication_codes=["hkdf-hmac-sha256"]),
            Code.UNKNOWN_METHOD,
        ),
        ("start", lambda each: each.update(short_authentication_string=["decimal"]), Code.UNKNOWN_METHOD),
        ("start", lambda each: each.update(from_device="PHONE"), Code.INVALID_MESSAGE),
        ("start", lambda each: each.update(odd=1.5), Code.INVALID_MESSAGE),
        ("start", lambda each: each.clear(), Code.INVALID_MESSAGE),
        ("key", lambda each: each.update(key="AAAA"), Code.INVALID_MESSAGE),
        ("key", lambda each: each.update(key="A" * 43), Code.INVALID_MESSAGE),
        ("key", lambda each: each.update(key=7), Code.INVALID_MESSAGE),
        ("key", lambda each: each.clear(), Code.INVALID_MESSAGE),
        ("mac", lambda each: each.update(keys="AAAA"), Code.KEY_MISMATCH),
        ("mac", lambda each: each["mac"].update({"ed25519:anna": "AAAA"}), Code.KEY_MISMATCH),
        ("mac", lambda each: each["mac"].pop("ed25519:anna"), Code.KEY_MISMATCH),
        ("mac", lambda each: each["mac"].update({"ed25519:more": "AAAA"}), Code.KEY_MISMATCH),
        ("mac", lambda each: each["mac"].update({str(n): "A" for n in range(30)}), Code.INVALID_MESSAGE),
        ("mac", lambda each: each.update(mac=[]), Code.INVALID_MESSAGE),
        ("mac", lambda each: each.clear(), Code.INVALID_MESSAGE),
    ],
)
def test_a_message_that_is_not_as_it_should_be_ends_it(kind: str, change: Change, code: Code) -> None:
    assert broken(kind, change, bot_starts=False) is code


@pytest.mark.parametrize(
    ("kind", "change", "code"),
    [
        ("accept", lambda each: each.update(commitment="AAAA"), Code.MISMATCHED_COMMITMENT),
        ("accept", lambda each: each.update(commitment=5), Code.INVALID_MESSAGE),
        ("accept", lambda each: each.update(hash="md5"), Code.UNKNOWN_METHOD),
        ("accept", lambda each: each.update(short_authentication_string=[]), Code.UNKNOWN_METHOD),
        ("accept", lambda each: each.update(message_authentication_code="hmac-sha256"), Code.UNKNOWN_METHOD),
        (
            "key",
            lambda each: each.update(key="hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo"),
            Code.MISMATCHED_COMMITMENT,
        ),
    ],
)
def test_a_key_that_was_not_promised_ends_it(kind: str, change: Change, code: Code) -> None:
    assert broken(kind, change, bot_starts=True) is code


def test_keys_that_are_not_those_we_know_end_it() -> None:
    """Her client vouches for another master key than the one that is pinned."""
    other = Party(ANNA.user_id, ANNA.device_id, ANNA.keys | {"ed25519:anna": "another"})
    anna, bot = Sas(other, BOT, "$request", NAMED), Sas(BOT, ANNA, "$request", NAMED)
    shown(anna, bot)
    bot.confirm()
    with pytest.raises(Cancelled, match=Code.KEY_MISMATCH):
        deliver(anna.confirm(), bot, anna)
    assert not bot.is_proven


@pytest.mark.parametrize("kind", ["start", "accept", "key", "mac", "done", "nonsense", ""])
@pytest.mark.parametrize("stage", [Stage.START, Stage.KEY, Stage.COMPARE])
def test_what_comes_at_the_wrong_time_ends_it(kind: str, stage: Stage) -> None:
    if (kind, stage) in (("start", Stage.START), ("key", Stage.KEY), ("mac", Stage.COMPARE)):
        return
    anna, bot = pair()
    if stage is not Stage.START:
        accept = bot.receive(*anna.start()[0])
        if stage is Stage.COMPARE:
            bot.receive(*anna.receive(*accept[0])[0])
    assert bot.stage is stage
    with pytest.raises(Cancelled, match=Code.UNEXPECTED_MESSAGE):
        bot.receive(kind, {})


def test_a_message_that_comes_twice_ends_it() -> None:
    anna, bot = pair()
    shown(anna, bot)
    [mac] = anna.confirm()
    assert bot.receive(*mac) == []
    with pytest.raises(Cancelled, match=Code.UNEXPECTED_MESSAGE):
        bot.receive(*mac)


@pytest.mark.parametrize("early", [Stage.START, Stage.OVER])
def test_nobody_confirms_what_was_not_shown_nor_twice(early: Stage) -> None:
    anna, bot = pair()
    if early is Stage.OVER:
        shown(anna, bot)
        bot.confirm()
    with pytest.raises(Cancelled, match=Code.UNEXPECTED_MESSAGE):
        bot.confirm()
