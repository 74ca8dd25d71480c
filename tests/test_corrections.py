"""Corrections: what a refusal proposes can be pasted, works, and is what the officer meant."""

import pytest

from bot.kernel.vocabulary import Role
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.story import Officer, Said, Story


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


def proposed(refusal: Said) -> str:
    """The corrected command of a refusal."""
    assert "Nothing was changed. Try:" in refusal, refusal
    return refusal.split("\n")[-1]


def place(scene: Scene, officer: Officer, where: str) -> str:
    return scene.ops if where == "ops" else scene.story.direct_room(officer)


@pytest.mark.parametrize(
    ("who", "where", "given", "typed"),
    [
        ("anna", "ops", [], "!ack"),
        ("anna", "ops", [CLOSED], CLOSED),
        ("anna", "ops", ['!alert severe "Ferry \\"Ann\\" lost"'], '!alert severe "Ferry \\"ANN\\" lost"'),
        ("anna", "direct", [], '!alert severe "Bridge closed" to=marnie'),
        ("anna", "direct", [], "!room policy"),
        ("anna", "ops", [], '!alert severe "Bridge closed" in=90000'),
        ("anna", "ops", [], '!alert severe "Depth 5" and 6" deep"'),
        ("otto", "ops", [], "!member list XYZ"),
        ("otto", "ops", [], "!member show nobody"),
        ("otto", "ops", [], "!alert show A-7"),
        ("otto", "ops", [], "!alert show"),
        ("root", "direct", [], "!grant @cho duty until=tomorrow"),
        ("root", "direct", [], "!grant @cho duty until=yesterday"),
        ("root", "direct", [], "!grant @cho duty until=03/04/2027 14:00"),
        ("root", "direct", [], "!grant @cho admin room=ops"),
        ("root", "direct", [], "!grant @cho"),
        ("root", "direct", [], "!revoke @cho officer agency=OPP"),
        ("root", "direct", [], "!revoke @cho captain"),
        ("root", "direct", [], "!revoke @root admin"),
        ("root", "direct", [], "!room policy"),
        ("root", "direct", [], '!member add @roy:x.example "F O"'),
        ("root", "direct", [], '!member pin @cho "1234"'),
        ("root", "direct", [], "!member suspend"),
        ("root", "direct", ['!agency add OPP-EAST "x"'], '!agency add 日本 "x"'),
    ],
)
async def test_what_is_proposed_works(
    scene: Scene, who: str, where: str, given: list[str], typed: str
) -> None:
    officer: Officer = getattr(scene, who)
    room = place(scene, officer, where)
    for each in given:
        await officer.says(room, each)
    command = proposed(await officer.says(room, typed))
    answer = await officer.says(room, command)
    assert answer, command
    assert "Nothing was changed" not in answer, f"{command}: {answer}"


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ('!member suspend nobody "lost"', "!member list"),
        ("!member suspend", "!member list"),
        ('!member suspend @chp "lost"', '!member suspend @cho:cbp.example "lost"'),
        ("!member suspend @cho", '!member suspend @cho "…"'),
        ("!grant @cho admin room=ops", "!help grant"),
        ("!revoke @cho officer agency=OPP", "!member show @cho:cbp.example"),
        ("!revoke @cho duty", "!member show @cho:cbp.example"),
        ("!member pin @cho 1234", "!help member pin"),
        ("!member pin @cho", '!member pin @cho "…"'),
        ("!grant @cho duty until=03/04/2027", "!help grant"),
        ("!grant @cho captain", "!help grant"),
        ("!grant @cho", "!help grant"),
        ("!room policy lang=de", "!help room policy"),
        ("!agency add ops-team-one Name", "!agency add OPS-TEAM-O Name"),
    ],
)
async def test_nobody_is_proposed_whom_the_officer_did_not_name(
    scene: Scene, typed: str, command: str
) -> None:
    assert proposed(await scene.root.says(scene.story.direct_room(scene.root), typed)) == command


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ('!alert severe "Gas leak at pier 4" to=nowhere', '!alert severe "Gas leak at pier 4" to=…'),
        ("!alert severe Gas to=ops,marnie,nowhere", "!alert severe Gas to=ops,marine,…"),
        ("!alert severe Gas to=,", "!alert severe Gas"),
        ('!alert severe Gas to=""', "!alert severe Gas"),
        ("!alert severe Gas in=90000", "!alert severe Gas in=10m"),
        ("!alert extreme Gas in=yesterday", "!alert extreme Gas in=5m"),
        ("!alert minor Gas in=03/04/2027", "!alert minor Gas in=120m"),
        ("!alert severe Gas in=11:00", "!alert severe Gas in=10m"),
        ("!alert severe Gas in=90", "!alert severe Gas in=90m"),
        ("!alert severe “He said “go” and left", '!alert severe "He said \\“go\\” and left"'),
        ('!alert severe "Gas leak" at pier 4', '!alert severe "Gas leak at pier 4"'),
        ('!alert severe "Depth 5" and 6" deep" to=ops', '!alert severe "Depth 5\\" and 6\\" deep" to=ops'),
        ("!alert severe", '!alert severe "…"'),
        ("!alert update A-1", '!alert update A-1 "…"'),
    ],
)
async def test_the_officers_own_words_stay(scene: Scene, typed: str, command: str) -> None:
    assert proposed(await scene.anna.says(scene.ops, typed)) == command


async def test_a_quotation_within_a_quotation_loses_no_words(scene: Scene) -> None:
    await scene.anna.says(scene.ops, "!alert severe “He said “go” and left”")
    assert "He said “go” and left" in scene.card(scene.ops)


async def test_the_end_of_a_role_is_read_whole(scene: Scene) -> None:
    said = await scene.root.says(scene.story.direct_room(scene.root), "!grant @cho duty until=tomorrow 14:00")
    assert "is duty until Wed 4 Nov 14:00 UTC" in said


async def test_nothing_is_proposed_that_she_may_not_do(story: Story) -> None:
    sam = await story.member("sam", Role.OFFICER)
    room = await story.room("ops", [], [sam, await story.member("roy", Role.OFFICER)])
    assert proposed(await sam.says(room, "!room policy prefix=/")) == "!room policy"
    assert proposed(await sam.says(story.direct_room(sam), "!alrt minor Ice to=ops")) == "!help"


@pytest.mark.parametrize(
    "until", ["9999-12-31 23:59 PT", "0001-01-01 00:00 Asia/Kathmandu", "9999-12-31", "99999w"]
)
async def test_an_end_beyond_the_calendar_is_refused_in_five_parts(scene: Scene, until: str) -> None:
    typed = f'!grant @cho duty until="{until}"'
    said = await scene.root.says(scene.story.direct_room(scene.root), typed)
    assert proposed(said) == "!grant @cho duty until=90d"


@pytest.mark.parametrize(
    ("typed", "board"),
    [
        ("!ack A-1 need help", "CBP ✔ needs HELP · Cho"),
        ("!ack A-1 🆘", "CBP ✔ needs HELP · Cho"),
        ("!ack A-1, we need help!", "CBP ✔ needs HELP · Cho"),
        ("!ack A-1 I can't", "CBP ✖ unable · Cho"),
        ("!ack besoin d’aide A-1", "CBP ✔ needs HELP · Cho"),
        ("!ack A-1 cannot", "CBP ✖ unable · Cho"),
        ("!ack A-1 can’t come", "CBP ✖ unable · Cho · 17:00 UTC: can’t come"),
        ("!ack A-1 no boat", "CBP ✖ unable · Cho · 17:00 UTC: no boat"),
        ('!ack A-1 NON "pas de bateau"', "CBP ✖ unable · Cho · 17:00 UTC: pas de bateau"),
        ("!ack unable A-1", "CBP ✖ unable · Cho · 17:00 UTC"),
        ("!ack unable no boat A-1", "CBP ✖ unable · Cho · 17:00 UTC: no boat"),
        ("!ack A-1 ok", "CBP ✔ ack · Cho"),
        ("!ack A-1 ✅", "CBP ✔ ack · Cho"),
        ('!ack A-1 "no boat, sorry"', "CBP ✔ ack · Cho · 17:00 UTC: no boat, sorry"),
    ],
)
async def test_an_answer_in_plain_words_is_what_it_says(scene: Scene, typed: str, board: str) -> None:
    await scene.root.says(scene.ops, "!room policy tz=UTC")
    await scene.raised()
    assert "your answer is on record" in await scene.cho.says(scene.ops, typed)
    assert board in scene.card(scene.ops)


@pytest.mark.parametrize(
    ("typed", "said", "command"),
    [
        ("!ack A-1 maybe", "answer is one of ack, accept, help, unable, decline, not 'maybe'", "!help ack"),
        ("!ack A-1 unabel", "A remark goes in quotes.", "!ack A-1 unable"),
        ("!ack A-1 ok but need help", "A remark goes in quotes.", "!help ack"),
    ],
)
async def test_what_is_no_answer_is_not_kept_as_a_remark_to_one(
    scene: Scene, typed: str, said: str, command: str
) -> None:
    await scene.raised()
    refused = await scene.cho.says(scene.ops, typed)
    assert said in refused
    assert proposed(refused) == command
    assert "CBP silent" in scene.card(scene.ops)


@pytest.mark.parametrize(
    "typed", ["!alert sever A-1", "!alert all claer A-1", "!alert gas leak", '!alert "Gas"']
)
async def test_a_severity_that_was_not_given_is_asked_for_and_never_proposed(
    scene: Scene, typed: str
) -> None:
    await scene.raised()
    refused = await scene.anna.says(scene.ops, typed)
    assert "minor, moderate, severe, extreme" in refused
    assert proposed(refused) == "!help alert"


@pytest.mark.parametrize("typed", ["all clear A-1", "close A-1", "end A-1", "over A-1", "clear A-1"])
async def test_an_alert_is_ended_by_any_of_the_words_for_it(scene: Scene, typed: str) -> None:
    await scene.raised()
    assert "A-1 ALL CLEAR" in await scene.anna.says(scene.ops, f"!alert {typed}")


@pytest.mark.parametrize("typed", ["A-1", "who A-1", "show A-1", "status A-1", "info A-1"])
async def test_an_alert_is_shown_by_its_number(scene: Scene, typed: str) -> None:
    await scene.raised()
    shown = await scene.anna.says(scene.ops, f"!alert {typed}")
    assert "CBP silent" in shown or "silent: CBP, OPP" in shown


LONG = "x" * 200


@pytest.mark.parametrize(
    ("typed", "said", "not_said"),
    [
        ("!alert severe Gas in=soon", "\nUnderstood: !alert severe Gas\n", "in=\n"),
        (f"!alert {LONG} Gas", "xxxxxxxxx…'", LONG[:31]),
        (f"!{LONG}", "xxxxxxxxx…'", LONG[:31]),
        ("!ping there", "'there' is too much here.", "quotes"),
        ("!alert severe", "The headline is missing.", ""),
        ("!alert update A-1", "The headline is missing.", ""),
    ],
)
async def test_a_refusal_repeats_what_was_understood_and_no_more(
    scene: Scene, typed: str, said: str, not_said: str
) -> None:
    refused = await scene.anna.says(scene.story.direct_room(scene.anna), typed)
    assert said in refused
    assert not not_said or not_said not in refused.split("\n")[0] + refused.split("\n")[-3]


async def test_french_words_that_officers_use_are_understood(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON, Role.ADMIN, language="fr")
    room = await story.room("fleuve", [], [luc, await story.member("cho", agency="CBP")], language="fr")
    assert "Il manque le titre." in await luc.says(room, "!alerte grave")
    assert "Il manque la gravité : mineure" in await luc.says(room, '!alerte "Pont fermé"')
    assert "GRAVE" in await luc.says(room, '!alerte grave "Pont fermé" accusé=chaque')
    assert "Aucune réponse" in await luc.says(room, '!alerte grave "Quai fermé" accusé=aucun')
    assert "a le rôle agent" in await luc.says(room, "!accorder @cho:cbp.example officier")
