"""A capability for tests of the runtime: toys are added, shown, played with, sold with a code."""

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Annotated

from bot.kernel.card import Card, Mention, card, line
from bot.kernel.errors import Conflict, NotFound
from bot.kernel.language import t
from bot.kernel.vocabulary import (
    Answer,
    Board,
    Call,
    Capability,
    Example,
    Moment,
    Post,
    Prefix,
    Quoted,
    Reaction,
    Ref,
    Rest,
    Role,
    Said,
    Span,
    Tick,
    UserId,
)


class Size(Enum):
    """How large a toy is."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Answered(Enum):
    """What may be said of a toy."""

    YES = "accept"
    UNABLE = "unable"
    HELP = "help"

    @property
    def also(self) -> tuple[str, ...]:
        """What else is understood."""
        return ("cannot", "no") if self is Answered.UNABLE else ()


ToyRef = Annotated[Ref, Prefix("T")]

toys = Capability("toys")


@toys.command(
    "toy",
    role=Role.OFFICER,
    french=["jouet"],
    names={"in_": "dans", "label": "étiquette"},
    examples=[
        Example('!toy small "Red ball"', "Nothing sent"),
        Example('!toy small "Red ball" to=ops in=5m', "T-1 small: Red ball"),
    ],
)
async def add_toy(
    call: Call,
    size: Size,
    label: Quoted,
    *,
    to: tuple[str, ...] = (),
    in_: Span = timedelta(minutes=10),
    at: Moment | None = None,
    count: int = 1,
    wrapped: bool = False,
) -> Answer:
    """Add a toy."""
    if label == "Brick":
        raise Conflict(t("There is a brick already"), argument="label", instead="Another brick")
    if label == "Bomb":
        raise ZeroDivisionError(label)
    shown = card(
        t("T-1 {size}: {label} ×{count} in {span}", size=size, label=label, count=count, span=in_),
        line(Mention("@carl:cbp.example", "Carl")),
    )
    if not to:
        return t("Nothing sent")
    rooms = [f"!{each}:agency.example" for each in to]
    return [Post(shown, room_id=each, about="T-1", standing=True, rings=True) for each in rooms]


@toys.command(
    "toy show", role=None, french=["jouet montrer"], examples=[Example("!toy show T-1", "T-1 shown")]
)
async def show_toy(call: Call, toy: ToyRef) -> Answer:
    """Show a toy."""
    if toy == "T-9":
        raise NotFound(t("There is no {toy}", toy=toy), argument="toy", instead="T-1")
    return t("{toy} shown", toy=toy)


@toys.command("play", role=None, examples=[Example("!play T-1 unable", "Played")])
async def play(
    call: Call, toy: ToyRef | None = None, answer: Answered = Answered.YES, why: Quoted | None = None
) -> Answer:
    """Play with a toy."""
    return [Board("T-1", card(t("T-1 played by {who}: {answer}", who=call.who.user_id, answer=answer.value)))]


@toys.command("note", role=None, examples=[Example("!note T-1 a word", "T-1: a word")])
async def note(call: Call, toy: ToyRef, text: Rest) -> Answer:
    """Note a word about a toy."""
    return t("{toy}: {text}", toy=toy, text=text)


@toys.command("give", role=None, examples=[Example("!give @carl:cbp.example T-1", "T-1 is given")])
async def give(call: Call, whom: UserId, toy: ToyRef) -> Answer:
    """Give a toy to a person."""
    given = card(t("{toy} is yours", toy=toy))
    return [t("{toy} is given", toy=toy), Post(given, to_user=whom, about=toy, rings=True)]


@toys.command("tag", role=None, examples=[Example("!tag T-1 red", "1 tags")])
async def tag(call: Call, toy: ToyRef, *tags: str) -> Answer:
    """Tag a toy."""
    return t("{count} tags", count=len(tags))


@toys.command("box open", "box lid open", role=None, examples=[Example("!box open", "1\n2")])
async def open_box(call: Call) -> Answer:
    """List what is in the box, which is long."""
    return card(line(str(number)) for number in range(1, 31))


async def show_sale(call: Call, toy: ToyRef, price: int) -> Card:
    """What a sale would do."""
    if price < 0:
        raise Conflict(t("Nobody pays you to take it"), argument="price", instead="5")
    return card(t("{toy} would be sold for {price}", toy=toy, price=price))


@toys.command(
    "sell", role=Role.OFFICER, preview=show_sale, examples=[Example("!sell T-1 5", "would be sold")]
)
async def sell(call: Call, toy: ToyRef, price: int) -> Answer:
    """Sell a toy; this cannot be undone."""
    if price == 13:
        raise ZeroDivisionError(price)
    return t("{toy} is sold for {price}", toy=toy, price=price)


@toys.on_reaction("T")
async def like(reaction: Reaction) -> Sequence[Said]:
    """Tell who liked the toy."""
    verb = "no longer likes" if reaction.removed else "likes"
    return [Board(reaction.about, card(t("{who} {verb} it", who=reaction.who.user_id, verb=verb)))]


@toys.job(every=timedelta(minutes=1))
async def wind_up(tick: Tick) -> Sequence[Said]:
    """Wind up what was left lying about."""
    if tick.now.minute == 13:
        raise ZeroDivisionError
    cards = await tick.tx.outbox.cards("T-1")
    if not cards or not await tick.tx.notices.claim("wound", tick.now, timedelta(days=1)):
        return []
    return [Post(card(t("T-1 is wound up")), room_id=each.room_id, about="T-1") for each in cards]
