"""`!more`: the next page of what was too long."""

from dataclasses import replace

from bot.kernel.card import Rendered
from bot.kernel.errors import NotFound
from bot.kernel.language import t
from bot.kernel.vocabulary import Answer, Call, Capability, Example
from storage.pages import Pages

paging = Capability("pages")


@paging.command(
    "more",
    role=None,
    french=["suite"],
    anywhere=True,
    examples=[Example("!more", answers="There is nothing more", refused=True)],
)
async def show_more(call: Call) -> Answer:
    """Show the next page of my last long answer."""
    # The dispatcher turns the page itself: it was rendered before, for whoever reads it now.
    raise NotFound(t("There is nothing more to show"))


async def turn(call: Call) -> tuple[Rendered, Pages] | None:
    """The next page, taken off those kept for this reader here; None if there is none."""
    direct = await call.tx.rooms.is_private(call.room, call.who.user_id)
    kept = await call.tx.pages.find(call.who.user_id, call.room.room_id, direct=direct)
    if kept is None:
        return None
    (body, html), rest = kept.rest[0], kept.rest[1:]
    await (call.tx.pages.put(replace(kept, rest=rest)) if rest else call.tx.pages.drop(kept))
    return Rendered(body, html), kept
