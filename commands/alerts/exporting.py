"""Hand an alert to other systems: as a CAP 1.2 document, in a file that is encrypted as messages are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.kernel.card import Strong, card, line
from bot.kernel.language import Language, Text, Voice, t
from bot.kernel.vocabulary import AlertRef, Attachment, Call, Example, Role, Said
from commands.alerts.acts import told
from commands.alerts.cap import document as cap
from commands.alerts.cap import to_xml
from commands.alerts.cap.rules import plain
from commands.alerts.capability import alerts
from commands.alerts.cards import title
from commands.alerts.rules import CORRECTED, UPDATED, Severity
from commands.alerts.views import View, readable, view_of
from storage.agencies import Agency
from storage.alerts import ACTIVE, ALL_CLEAR, CANCELLED, Alert
from storage.transitions import Transition

MIMETYPE = "application/cap+xml"

# Each of these steps is a message to other systems; that an alert expired is in its last one already.
_MESSAGES = {
    ACTIVE: cap.MsgType.ALERT,
    UPDATED: cap.MsgType.UPDATE,
    CORRECTED: cap.MsgType.UPDATE,
    CANCELLED: cap.MsgType.CANCEL,
    ALL_CLEAR: cap.MsgType.UPDATE,
}

_SEVERITY = {
    Severity.EXTREME: cap.Severity.EXTREME,
    Severity.SEVERE: cap.Severity.SEVERE,
    Severity.MODERATE: cap.Severity.MODERATE,
    Severity.MINOR: cap.Severity.MINOR,
}
_URGENCY = {
    Severity.EXTREME: cap.Urgency.IMMEDIATE,
    Severity.SEVERE: cap.Urgency.IMMEDIATE,
    Severity.MODERATE: cap.Urgency.EXPECTED,
    Severity.MINOR: cap.Urgency.FUTURE,
}
_CERTAINTY = {
    Severity.EXTREME: cap.Certainty.LIKELY,
    Severity.SEVERE: cap.Certainty.LIKELY,
    Severity.MODERATE: cap.Certainty.LIKELY,
    Severity.MINOR: cap.Certainty.POSSIBLE,
}


def messages_of(alert: Alert, history: Sequence[Transition]) -> list[cap.Reference]:
    """The messages that an alert has made, oldest first; the last one is as the alert stands now."""
    steps = [each for each in history if each.object == alert.ref and each.to_state in _MESSAGES]
    return [_named(alert, number, step.at) for number, step in enumerate(steps, start=1)]


def _named(alert: Alert, number: int, at: datetime) -> cap.Reference:
    """Named apart from every other bot's: by agency, the author's server, and the second it was raised."""
    sender = f"{alert.agency}@{alert.author.partition(':')[2]}"
    return cap.Reference(sender, f"{alert.ref}.{number}-{alert.raised_at:%Y%m%dT%H%M%S}", _second(at))


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def document_of(view: View, history: Sequence[Transition], agency: Agency, voice: Voice) -> cap.CapAlert:
    """The alert as it stands, in the language of `voice`, naming all its earlier messages."""
    alert = view.alert
    *earlier, own = messages_of(alert, history)
    step = [each.to_state for each in history if each.object == alert.ref and each.to_state in _MESSAGES][-1]
    return cap.CapAlert(
        identifier=own.identifier,
        sender=own.sender,
        sent=own.sent,
        status=cap.Status.ACTUAL,
        msg_type=_MESSAGES[step],
        scope=cap.Scope.RESTRICTED,
        restriction=plain(voice.say(_restriction(view))),
        note=plain(alert.closed_reason) if alert.state == CANCELLED and alert.closed_reason else None,
        references=tuple(earlier),
        info=(_info(alert, own.sent, agency, voice),),
    )


def _restriction(view: View) -> Text:
    """For whom it is: by the tags of its rooms, never by their names or by who is in them."""
    tags = sorted({tag for room in view.rooms for tag in room.tags})
    if tags:
        return t("For members of the rooms tagged {tags}", tags=tuple(tags))
    return t("For {agencies}", agencies=tuple(each.agency for each in view.board))


def _info(alert: Alert, sent: datetime, agency: Agency, voice: Voice) -> cap.Info:
    severity, over = Severity(alert.severity), alert.state in (ALL_CLEAR, CANCELLED)
    french = voice.language is Language.FR
    return cap.Info(
        language="-".join(filter(None, (voice.language.value, agency.country))),
        category=(cap.Category.SECURITY,),
        event=voice.say(t("Security alert")),
        response_type=(cap.ResponseType.ALL_CLEAR,) if alert.state == ALL_CLEAR else (),
        urgency=cap.Urgency.PAST if over else _URGENCY[severity],
        severity=_SEVERITY[severity],
        certainty=_CERTAINTY[severity],
        effective=sent,
        expires=_second(alert.expires_at),
        sender_name=plain(agency.name_fr if french else agency.name_en),
        headline=plain(alert.headline),
        description=plain(alert.closed_reason) if alert.state == ALL_CLEAR and alert.closed_reason else None,
    )


@alerts.command(
    "alert cap",
    role=Role.OFFICER,
    french=["alerte pac"],
    names={"alert": "alerte"},
    examples=[
        Example(
            "!alert cap A-1",
            given=('!alert severe "Bridge closed"',),
            answers="As a CAP 1.2 file, message 1 of this alert: Alert.",
        ),
        Example("!alert cap A-99", answers="There is no alert A-99", refused=True),
    ],
)
async def export_alert(call: Call, alert: AlertRef) -> list[Said]:
    """An alert as a file for other systems, in the Common Alerting Protocol (CAP 1.2)."""
    found = await readable(call, alert)
    view, history = await view_of(call.tx, found), await call.tx.transitions.of(found.ref)
    agency = await call.tx.agencies.find(found.agency) or Agency(
        found.agency, found.agency, found.agency, None
    )
    room = await call.tx.rooms.find(found.room_id)
    spoken = Language.FR if room and room.language == Language.FR.value else Language.EN
    made = document_of(view, history, agency, replace(call.voice, language=spoken))
    number = len(made.references) + 1
    said = t(
        "As a CAP 1.2 file, message {number} of this alert: {type}.", number=number, type=made.msg_type.value
    )
    file = Attachment(f"{found.ref}.xml", MIMETYPE, to_xml(made))
    return await told(call, found, card(line(Strong(title(found))), line(said)), file)
