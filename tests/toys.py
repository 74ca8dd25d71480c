"""A capability for tests of the runtime: toys that are added, shown, sold with a code, and wound up by a job."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

from bot.kernel.card import Card, Mention, card, line
from bot.kernel.errors import Conflict, NotFound
from bot.kernel.language import Text, t
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


ToyRef = Annotated[Ref, Prefix("T")]

toys = Capability("toys")


@toys.command(
    "toy",
    role=Role.OFFICER,
    french=["jouet"],
    examples=[Example('!toy small "Red ball"', "T-1 small: Red ball")],
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
    shown = t("T-1 {size}: {label} ×{count} in {span}", size=size, label=label, count=count, span=in_)
    posts = [
        Post(card(shown), room_id=f"!{each}:agency.example", about="T-1", standing=True, rings=True)
        for each in to
    ]
    return [*posts, t("Nothing sent")] if not to else posts


@toys.command("toy show", role=None, examples=[Example("!toy show T-1", "T-1 shown")])
async def show_toy(call: Call, toy: ToyRef) -> Answer:
    """Show a toy."""
    if toy == "T-9":
        raise NotFound(t("There is no {toy}", toy=toy), argument="toy", instead="T-1")
    return t("{toy} shown", toy=toy)
