"""Whether a room that the bot comes into is one person's direct room: by invite and by who is there."""

import pytest

from bot.matrix.rooms import Room
from bot.matrix.timeline import direct_with
from bot.matrix.wire import Json

BOT, ANNA, EVE = "@tandem:hq.example", "@anna:hq.example", "@eve:hq.example"


def invite(whom: str, *, by: str = BOT, is_direct: bool = True) -> Json:
    content = {"membership": "invite", "is_direct": is_direct}
    return {"type": "m.room.member", "state_key": whom, "sender": by, "content": content}


@pytest.mark.parametrize(
    ("invited_by", "is_direct", "state", "members", "whose"),
    [
        (ANNA, True, [], {ANNA: "join", BOT: "join"}, ANNA),
        (ANNA, False, [], {ANNA: "join", BOT: "join"}, None),
        # Somebody else is there, or may come and read along.
        (ANNA, True, [], {ANNA: "join", BOT: "join", EVE: "join"}, None),
        (ANNA, True, [], {ANNA: "join", BOT: "join", EVE: "invite"}, None),
        # A room that the bot has made.
        (None, False, [invite(ANNA)], {ANNA: "invite", BOT: "join"}, ANNA),
        (None, False, [invite(ANNA, is_direct=False)], {ANNA: "invite", BOT: "join"}, None),
        (None, False, [invite(ANNA, by=EVE)], {ANNA: "invite", BOT: "join"}, None),
        (None, False, [invite(ANNA), invite(EVE)], {ANNA: "invite", EVE: "invite", BOT: "join"}, None),
    ],
)
def test_a_room_is_direct_if_it_was_meant_so_and_nobody_else_is_in_it(
    invited_by: str | None, is_direct: bool, state: list[Json], members: dict[str, str], whose: str | None
) -> None:
    room = Room("!room", members=members, invited_by=invited_by, invite_direct=is_direct)
    assert direct_with(room, state, BOT) == whose
