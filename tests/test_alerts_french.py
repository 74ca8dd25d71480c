"""Stories of alerts in French: what an officer types, and what she and her room read."""

from bot.kernel.vocabulary import Role
from tests.story import Story


async def test_an_alert_is_raised_answered_and_ended_in_french(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON, language="fr", zone="America/Toronto")
    cho = await story.member("cho", Role.OFFICER, agency="CBP", language="fr")
    room = await story.room("fleuve", [], [luc, cho], language="fr", zone="America/Toronto")
    card = await luc.says(room, "!alerte grave «\u00a0Pont fermé\u00a0»")
    assert card.split("\n") == [
        "🔴 A-1 GRAVE : Pont fermé",
        "RCMP · Luc · 12:00 HNE (17:00Z)",
        "Répondez avant 12:10 HNE (17:10Z) : !accuser A-1",
        "• CBP sans réponse",
        "• RCMP l'a lancée",
    ]
    said = await cho.says(room, '!accuser A-1 incapable "pas de bateau avant midi"')
    assert said == "A-1 : votre réponse est consignée : CBP ✖ incapable. Plus aucun silence."
    assert "Toutes les agences sollicitées ont répondu." in story.now_reads(card)
    assert "A-1 GRAVE" in await cho.says(room, "!alerte liste")
    assert "A-1 FIN D'ALERTE" in await luc.says(room, "!alerte terminer A-1")
    assert "Aucune alerte n'est active ici." in await cho.says(room, "!alerte")


async def test_each_room_reads_the_card_in_its_language(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON, language="fr")
    cho = await story.member("cho", Role.OFFICER, agency="CBP")
    fleuve = await story.room("fleuve", ["ops"], [luc], language="fr")
    river = await story.room("river", ["ops"], [cho])
    both = await story.room("both", ["ops"], [cho], language="both")
    await luc.says(fleuve, '!alerte extrême "Coups de feu, quai 4" to=ops')
    assert story.said(fleuve)[0].startswith("🚨 A-1 EXTRÊME : Coups de feu")
    assert story.said(river)[0].startswith("🚨 A-1 EXTREME: Coups de feu")
    assert "EXTREME" in story.said(both)[0]
    assert "EXTRÊME" in story.said(both)[0]
    await story.pass_time(minutes=5, seconds=10)
    assert "Toujours pas de réponse de CBP." in "".join(story.said(both))


async def test_a_wrong_severity_is_refused_with_the_french_words(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON, language="fr")
    room = await story.room("fleuve", [], [luc], language="fr")
    said = await luc.says(room, '!alerte rouge "Pont fermé"')
    assert "mineure, modérée, grave, extrême" in said


async def test_who_chose_another_language_than_the_room_is_answered_in_it_too(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON, language="fr")
    room = await story.room("river", [], [luc, await story.member("cho", agency="CBP")])
    await luc.says(room, '!alerte grave "Pont fermé"')
    done = "A-1 : c'est fait, et ses salons sont avisés."
    assert await luc.says(room, '!alerte modifier A-1 "Pont fermé aux camions"') == done
    assert await luc.says(room, "!alerte fin A-1") == done
    assert "A-1 ALL CLEAR" in story.said(room)[-2]


async def test_who_asks_in_french_is_told_how_to_be_answered_in_french(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON)
    room = await story.room("river", [], [luc, await story.member("cho", agency="CBP")])
    shown = (await luc.says(room, "!aide")).split("\n")
    assert shown[1] == "En français : !langue fr"
    assert "En français" not in await luc.says(room, "!help")
    assert "je vous parle en français" in await luc.says(room, "!langue fr")
    assert "En français" not in await luc.says(room, "!aide")
