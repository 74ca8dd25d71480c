"""Stories of who speaks for which agency: by a role for another one, for several, or for one room."""

import pytest

from bot.kernel.vocabulary import Role, agencies_with, speaks_for
from storage.members import Grant
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.fakes import NOON
from tests.story import Story


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


async def grant(scene: Scene, words: str) -> None:
    said = await scene.root.says(scene.story.direct_room(scene.root), f"!grant {words}")
    assert "Nothing was changed" not in said, said


def a_grant(role: str, agency: str, room_id: str | None = None) -> Grant:
    return Grant(1, "@anna:rcmp.example", role, agency, room_id, "@root:x", NOON, None, None)


@pytest.mark.parametrize(
    ("grants", "room_id", "agencies"),
    [
        ([], "!ops", ()),
        ([a_grant("officer", "CBP")], "!ops", ("CBP",)),
        ([a_grant("supervisor", "OPP"), a_grant("officer", "CBP")], "!ops", ("CBP", "OPP")),
        ([a_grant("observer", "CBP"), a_grant("admin", "OPP")], "!ops", ()),
        ([a_grant("officer", "CBP", "!sea")], "!ops", ()),
        ([a_grant("officer", "CBP", "!sea")], "!sea", ("CBP",)),
    ],
)
def test_a_role_counts_for_its_agency_where_it_was_given(
    grants: list[Grant], room_id: str, agencies: tuple[str, ...]
) -> None:
    assert agencies_with(grants, Role.OFFICER, room_id) == agencies


@pytest.mark.parametrize(
    ("held", "named", "agency"),
    [
        (("CBP", "RCMP"), None, "RCMP"),
        (("CBP",), None, "CBP"),
        (("CBP", "OPP"), None, None),
        (("CBP", "OPP"), "OPP", "OPP"),
        (("RCMP",), "CBP", None),
        ((), None, None),
    ],
)
def test_her_own_agency_comes_first_then_the_only_one_then_she_has_to_say(
    held: tuple[str, ...], named: str | None, agency: str | None
) -> None:
    assert speaks_for("RCMP", held, named) == agency


async def test_a_role_for_another_agency_does_not_speak_for_her_own(scene: Scene) -> None:
    await grant(scene, "@otto officer agency=CBP")
    await scene.raised()
    assert "CBP ✔ ack" in await scene.otto.says(scene.ops, "!ack A-1")
    assert "OPP silent" in scene.card(scene.ops)


async def test_a_tick_speaks_for_the_agency_of_the_role_too(scene: Scene) -> None:
    await grant(scene, "@otto officer agency=CBP")
    card = await scene.raised('!alert minor "Ice on the ramp"')
    await scene.otto.reacts(scene.ops, card, "✅")
    assert "CBP ✔ ack, unsigned · Otto" in scene.card(scene.ops)
    assert "OPP silent" in scene.card(scene.ops)
    await scene.otto.redacts(scene.ops, scene.story.last_event)
    assert "CBP silent" in scene.card(scene.ops)


async def test_who_may_speak_for_several_has_to_say_for_which(scene: Scene) -> None:
    boss = await scene.story.member("boss")
    for agency in ("OPP", "CBP"):
        await grant(scene, f"@boss officer agency={agency}")
    card = await scene.raised('!alert minor "Ice on the ramp"')
    refused = await boss.says(scene.ops, "!ack A-1")
    assert "You may speak for CBP, OPP." in refused
    assert refused.endswith("!ack A-1 for=CBP")
    assert "does not say for which agency. Type !ack A-1 for=CBP" in await boss.reacts(scene.ops, card, "✅")
    assert "OPP ✔ ack" in await boss.says(scene.ops, "!ack A-1 for=opp")
    refused = await boss.says(scene.ops, "!ack A-1 for=RCMP")
    assert "You may not speak for RCMP here" in refused
    assert refused.endswith("!ack A-1 for=CBP")


async def test_in_french_it_is_pour(scene: Scene) -> None:
    await grant(scene, "@otto officer agency=CBP")
    await scene.raised()
    assert "CBP ✔ ack" in await scene.otto.says(scene.ops, "!accuser A-1 pour=CBP")


async def test_an_alert_is_raised_for_the_agency_of_the_role(scene: Scene) -> None:
    await grant(scene, "@otto liaison agency=CBP")
    await scene.otto.says(scene.ops, CLOSED)
    card = scene.card(scene.ops)
    assert "CBP · Otto" in card
    assert "• CBP raised it" in card
    assert "• OPP silent" in card
    await scene.cho.says(scene.ops, "!ack A-1")
    assert "CBP raised it" not in scene.card(scene.ops)


async def test_a_supervisor_for_another_agency_answers_for_the_one_she_was_told_of(scene: Scene) -> None:
    boss = await scene.story.member("boss", Role.OFFICER)
    await grant(scene, "@boss supervisor agency=OPP")
    await scene.raised()
    await scene.story.pass_time(minutes=16)
    (told,) = scene.story.direct(boss)
    assert told.endswith("Have it answered, or answer for it: !ack A-1 for=OPP")
    direct = scene.story.direct_room(boss)
    assert "OPP ✔ ack" in await boss.replies(direct, told, "!ack A-1 for=OPP")


async def test_a_supervisor_for_another_agency_may_read_what_that_one_is_asked(scene: Scene) -> None:
    boss = await scene.story.member("boss", agency="USCG")
    await grant(scene, "@boss supervisor agency=OPP")
    await scene.raised()
    assert "Bridge closed" in await boss.says(scene.story.direct_room(boss), "!alert list")


async def test_a_supervisor_of_another_room_is_not_told(scene: Scene) -> None:
    boss = await scene.story.member("boss", agency="OPP")
    await grant(scene, "@boss supervisor room=sea")
    await scene.raised()
    await scene.story.pass_time(minutes=16)
    assert scene.story.direct(boss) == []
    assert "OPP silent, no supervisor to tell" in scene.card(scene.ops)


async def test_a_supervisor_of_its_room_is_rung_there_and_answers_there(scene: Scene) -> None:
    await grant(scene, "@otto supervisor room=ops")
    await scene.raised()
    await scene.story.pass_time(minutes=16)
    assert scene.story.direct(scene.otto) == []
    (told,) = [each for each in scene.story.said(scene.ops) if "Its supervisor here" in each]
    assert told.rings
    assert "OPP has not answered for 15 min. Its supervisor here: Otto." in told
    assert told.mentions == (scene.otto.user_id,)
    assert "OPP ✔ ack" in await scene.otto.replies(scene.ops, told, "!ack")


async def test_a_role_in_one_room_reaches_no_other_room(scene: Scene) -> None:
    await grant(scene, "@cho liaison room=sea")
    refused = await scene.cho.says(scene.sea, f"{CLOSED} to=ops")
    assert "You are not liaison for CBP in ops." in refused
    assert refused.endswith(CLOSED)
    assert scene.story.said(scene.ops) == []
    assert "A-1 SEVERE" in await scene.cho.says(scene.sea, f"{CLOSED} to=marine")


async def test_only_a_liaison_for_its_agency_changes_an_alert(scene: Scene) -> None:
    await grant(scene, "@otto liaison agency=CBP")
    await scene.raised()
    assert "A-1 is an alert of RCMP" in await scene.otto.says(scene.ops, "!alert clear A-1")
    await grant(scene, "@otto liaison agency=RCMP")
    await scene.otto.says(scene.ops, "!alert clear A-1")
    assert "Otto, RCMP" in scene.story.said(scene.ops)[-1]
