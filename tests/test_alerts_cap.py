"""An alert as a CAP file: valid, in the language it was raised in, with all that went before it."""

from datetime import timedelta

import pytest

from bot.kernel.vocabulary import Role
from commands.alerts.cap import from_xml
from commands.alerts.cap.document import (
    CapAlert,
    Category,
    Certainty,
    MsgType,
    Reference,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from storage.transaction import Database
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.fakes import NOON
from tests.story import Said, Story
from tests.test_cap import valid


@pytest.fixture
async def scene(database: Database) -> Scene:
    return await set_scene(await Story.begin(database))


def document(said: Said) -> CapAlert:
    """The file of a message, checked by the OASIS schema."""
    assert said.file is not None
    valid(said.file)
    return from_xml(said.file)


async def exported(scene: Scene, command: str = "!alert cap A-1") -> CapAlert:
    return document(await scene.anna.says(scene.ops, command))


async def test_an_alert_is_a_valid_document(scene: Scene) -> None:
    await scene.raised('!alert severe "Bridge <b>closed</b> & 3 < 4" to=ops')
    said = await scene.anna.says(scene.ops, "!alert cap A-1")
    assert "As a CAP 1.2 file, message 1 of this alert: Alert." in said
    alert = document(said)
    assert (alert.identifier, alert.sender) == ("A-1.1-20261103T170000", "RCMP@rcmp.example")
    assert (alert.sent, alert.status, alert.msg_type) == (NOON, Status.ACTUAL, MsgType.ALERT)
    assert alert.scope is Scope.RESTRICTED
    assert alert.restriction == "For members of the rooms tagged marine, ops"
    assert alert.references == ()
    [info] = alert.info
    assert (info.language, info.category, info.event) == ("en-CA", (Category.SECURITY,), "Security alert")
    assert (info.urgency, info.severity, info.certainty) == (
        Urgency.IMMEDIATE,
        Severity.SEVERE,
        Certainty.LIKELY,
    )
    assert info.headline == "Bridge ‹b>closed‹/b> & 3 < 4"
    assert info.sender_name == "Royal Canadian Mounted Police"
    assert info.expires == NOON + timedelta(hours=8)


@pytest.mark.parametrize(
    ("severity", "urgency", "certainty", "hours"),
    [
        ("extreme", Urgency.IMMEDIATE, Certainty.LIKELY, 4),
        ("severe", Urgency.IMMEDIATE, Certainty.LIKELY, 8),
        ("moderate", Urgency.EXPECTED, Certainty.LIKELY, 24),
        ("minor", Urgency.FUTURE, Certainty.POSSIBLE, 72),
    ],
)
async def test_a_severity_has_its_defaults(
    scene: Scene, severity: str, urgency: Urgency, certainty: Certainty, hours: int
) -> None:
    await scene.raised(f'!alert {severity} "Bridge closed"')
    [info] = (await exported(scene)).info
    assert info.severity.value == severity.capitalize()
    assert (info.urgency, info.certainty) == (urgency, certainty)
    assert info.expires == NOON + timedelta(hours=hours)


async def test_each_later_message_names_all_before_it(scene: Scene) -> None:
    await scene.raised()
    first = await exported(scene)
    await scene.story.pass_time(minutes=1)
    await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed to lorries"')
    second = await exported(scene)
    await scene.story.pass_time(minutes=1)
    await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed to lorries!"')
    third = await exported(scene)
    await scene.anna.says(scene.ops, '!alert clear A-1 "open again"')
    last = await exported(scene)
    assert [each.msg_type for each in (first, second, third, last)] == [MsgType.ALERT] + [MsgType.UPDATE] * 3
    named = [Reference(each.sender, each.identifier, each.sent) for each in (first, second, third)]
    assert second.references == tuple(named[:1])
    assert third.references == tuple(named[:2])
    assert last.references == tuple(named)
    [info] = last.info
    assert (info.response_type, info.urgency) == ((ResponseType.ALL_CLEAR,), Urgency.PAST)
    assert info.description == "open again"
    assert await exported(scene) == last


async def test_an_alert_that_was_wrong_is_cancelled_with_why(scene: Scene) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, '!alert cancel A-1 "wrong bridge"')
    alert = await exported(scene)
    assert (alert.msg_type, alert.note) == (MsgType.CANCEL, "wrong bridge")
    assert [each.identifier for each in alert.references] == ["A-1.1-20261103T170000"]
    assert alert.info[0].urgency is Urgency.PAST


async def test_an_alert_whose_time_is_over_is_what_it_said_last(scene: Scene) -> None:
    await scene.raised()
    before = await exported(scene)
    await scene.story.pass_time(hours=9)
    assert (await scene.alert()).state == "expired"
    assert await exported(scene) == before


async def test_in_a_french_room_the_file_is_french(scene: Scene) -> None:
    room = await scene.story.room("fleuve", [], [scene.anna, scene.cho], language="fr")
    await scene.anna.says(room, '!alerte grave "Pont fermé"')
    said = await scene.anna.says(room, "!alerte pac A-1")
    assert "En fichier PAC 1.2, message 1 de cette alerte : Alert." in said
    alert = document(said)
    [info] = alert.info
    assert (info.language, info.event, info.headline) == ("fr-CA", "Alerte de sécurité", "Pont fermé")
    assert info.sender_name == "Gendarmerie royale du Canada"
    assert alert.restriction == "Pour CBP, RCMP"


async def test_elsewhere_the_file_goes_to_who_asked_alone(scene: Scene) -> None:
    await scene.raised(CLOSED)
    said = await scene.cho.says(scene.sea, "!alert cap A-1")
    assert "I have written to you directly" in said
    assert said.file is None
    assert document(scene.story.direct(scene.cho)[-1]).identifier == "A-1.1-20261103T170000"


async def test_who_may_not_read_an_alert_gets_no_file(scene: Scene) -> None:
    await scene.raised()
    eve = await scene.story.member("eve", Role.OFFICER, agency="SQ")
    said = await eve.says(scene.story.direct_room(eve), "!alert cap A-1")
    assert "There is no alert A-1" in said
    assert not scene.story.messenger.files


async def test_a_correction_is_on_record(scene: Scene) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed!"')
    assert [each.to_state for each in await scene.history()] == ["active", "corrected"]
    assert "corrected" in await scene.anna.says(scene.ops, "!alert show A-1")
