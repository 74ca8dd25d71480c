"""Read alerts: the active ones, the board by agency, everything about one."""

from bot.kernel.card import Card, card
from bot.kernel.language import t
from bot.kernel.vocabulary import AlertRef, Call, Example, Post, Role, Said
from commands.alerts.acts import told
from commands.alerts.capability import alerts
from commands.alerts.cards import board_card, full_card, list_card
from commands.alerts.views import is_held_here, is_shown_here, names_of, readable, view_of


@alerts.command(
    "alert list",
    role=Role.OBSERVER,
    french=["alerte liste"],
    examples=[
        Example("!alert list", answers="No alert is active here"),
        Example("!alert list", given=('!alert severe "Bridge closed"',), answers="A-1 SEVERE: Bridge closed"),
    ],
)
async def list_alerts(call: Call) -> Card | list[Said]:
    """The active alerts of this room, newest first, and who is silent. Alone with me: all you may see."""
    shown = [each for each in await call.tx.alerts.active() if await is_shown_here(call, each)]
    views = [await view_of(call.tx, each) for each in shown]
    listed = list_card(views, may_raise=call.may(Role.LIAISON))
    if not shown or not await is_held_here(call):
        return listed
    here = card(t("I say nothing about alerts here now. I have written to you directly."))
    return [Post(listed, to_user=call.who.user_id), here]


@alerts.command(
    "alert who",
    role=Role.OBSERVER,
    french=["alerte qui"],
    names={"alert": "alerte"},
    examples=[
        Example(
            "!alert who A-1", given=('!alert severe "Bridge closed"',), answers="A-1 SEVERE: Bridge closed"
        ),
        Example("!alert who A-99", answers="There is no alert A-99", refused=True),
    ],
)
async def who_answered(call: Call, alert: AlertRef) -> list[Said]:
    """The board of an alert: which agency answered what, by whom and when; which is silent, for how long."""
    found = await readable(call, alert)
    return await told(call, found, board_card(await view_of(call.tx, found), call.now))


@alerts.command(
    "alert show",
    "alert status",
    "alert info",
    role=Role.OBSERVER,
    french=["alerte voir"],
    names={"alert": "alerte"},
    examples=[
        Example("!alert show A-1", given=('!alert severe "Bridge closed"',), answers="Sent to 1 room"),
        Example("!alert show A-99", answers="There is no alert A-99", refused=True),
    ],
)
async def show_alert(call: Call, alert: AlertRef) -> list[Said]:
    """Everything about an alert: its card, how far it went, until when it runs, and its history."""
    found = await readable(call, alert)
    history = await call.tx.transitions.of(found.ref)
    names = await names_of(call.tx, {each.actor for each in history if each.actor})
    return await told(call, found, full_card(await view_of(call.tx, found), history, names))
