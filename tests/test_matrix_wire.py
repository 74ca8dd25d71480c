"""Reading what came from outside: only `Malformed` is ever raised, and every text can be stored."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.matrix.rows import NotAllowed, read_payload, without_fallback
from bot.matrix.trust import Reason
from bot.matrix.wire import MAX_DEPTH, Malformed, parse, parse_plaintext, skew_by

ROOM = "!room:example.org"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"{", b"[" * 100_000, b"nul", b'{"a":}', b"[]", b"7", b'{"a": "' + b"x" * 70_000 + b'"}'],
)
def test_a_plaintext_that_is_no_object_is_malformed(raw: bytes) -> None:
    """Encoding, syntax, type, depth, size."""
    with pytest.raises(Malformed):
        parse_plaintext(raw)


def test_depth_is_counted_outside_of_texts_only() -> None:
    """Brackets that people type are no nesting."""
    body = json.dumps({"body": "[" * 500 + '\\"' + "{" * 500})
    assert parse_plaintext(body.encode())["body"].startswith("[[[")
    with pytest.raises(Malformed):
        parse_plaintext(b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}")


def test_what_no_database_stores_is_replaced() -> None:
    """NUL and lone surrogates, in keys and values; what is escaped twice stays."""
    raw = b'{"a\\u0000": ["\\ud800x", "\\\\u0000", "\\ud83d\\ude00"], "n": 1e999, "i": ' + b"9" * 5000 + b"}"
    assert parse(raw) == {"a\ufffd": ["\ufffdx", "\\u0000", "😀"], "n": None, "i": 0}


@given(JSON)
def test_any_payload_gives_a_row_a_reason_or_malformed(value: Any) -> None:
    """Nothing else is raised, whatever the content is."""
    for payload in (value, {"room_id": ROOM, "type": "m.room.message", "content": value}):
        try:
            read = parse_plaintext(json.dumps(payload, allow_nan=False).encode())
            row = read_payload(read, ROOM, "DEVICE", notices=True)
        except (NotAllowed, ValueError):
            continue
        assert row is None or isinstance(row[1]["body"], str)


def payload(content: dict[str, Any], kind: str = "m.room.message", **more: Any) -> dict[str, Any]:
    """A payload of the room."""
    return {"room_id": ROOM, "type": kind, "content": content} | more


TEXT: dict[str, Any] = {"msgtype": "m.text", "body": "!ping"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (payload(TEXT) | {"room_id": "!other:example.org"}, Reason.ROOM_MISMATCH),
        (payload({"users": {}}, "m.room.power_levels"), Reason.STATE_IN_CIPHERTEXT),
        (payload(TEXT, state_key=""), Reason.STATE_IN_CIPHERTEXT),
    ],
)
def test_payloads_that_must_not_be_acted_on(value: dict[str, Any], reason: Reason) -> None:
    """And why."""
    with pytest.raises(NotAllowed) as caught:
        read_payload(value, ROOM, "DEVICE", notices=False)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "more", [{"sender": "@eve:example.org"}, {"unsigned": {}}, {"content": []}, {"type": 7}]
)
def test_payloads_that_bring_an_envelope_of_their_own_are_malformed(more: dict[str, Any]) -> None:
    """Only the homeserver's envelope counts."""
    with pytest.raises(Malformed):
        read_payload(payload(TEXT) | more, ROOM, "DEVICE", notices=False)


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ({}, (None, None)),
        ({"m.in_reply_to": {"event_id": "$a"}}, ("$a", None)),
        ({"rel_type": "m.thread", "event_id": "$r"}, (None, "$r")),
        ({"rel_type": "m.thread", "event_id": "$r", "m.in_reply_to": {"event_id": "$a"}}, ("$a", "$r")),
        (
            {
                "rel_type": "m.thread",
                "event_id": "$r",
                "is_falling_back": True,
                "m.in_reply_to": {"event_id": "$a"},
            },
            (None, "$r"),
        ),
        ({"m.in_reply_to": {"event_id": 7}}, (None, None)),
        ("text", (None, None)),
    ],
)
def test_what_a_message_answers(relation: Any, expected: tuple[str | None, str | None]) -> None:
    """Reply and thread; the reply that only stands in for a thread is none."""
    row = read_payload(payload(TEXT | {"m.relates_to": relation}), ROOM, "DEVICE", notices=False)
    assert row is not None
    assert (row[1]["reply_to"], row[1]["thread"]) == expected


def test_edits_notices_reactions_and_the_rest() -> None:
    """Kinds of rows; what is of no concern gives none."""
    edit = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$a"}, "m.new_content": TEXT, "body": "* x"}
    row = read_payload(payload(edit), ROOM, "DEVICE", notices=False)
    assert row is not None
    assert (row[0], row[1]["target"], row[1]["body"]) == ("edit", "$a", "!ping")
    with pytest.raises(Malformed):
        read_payload(payload(edit | {"m.new_content": None}), ROOM, "DEVICE", notices=False)
    notice = payload(TEXT | {"msgtype": "m.notice"})
    assert read_payload(notice, ROOM, "DEVICE", notices=False) is None
    assert read_payload(notice, ROOM, "DEVICE", notices=True) is not None
    assert read_payload(payload({}, "org.example.poll"), ROOM, "DEVICE", notices=False) is None
    relation = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$a", "key": "✅"}}
    reaction = read_payload(payload(relation, "m.reaction"), ROOM, "DEVICE", notices=False)
    assert reaction == ("reaction", {"target": "$a", "key": "✅", "unsigned": False})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("> <@bot:example.org> A-1 SEVERE\n> second line\n\n!ack", "!ack"),
        ("> * <@bot:example.org> waves\n\n!ack A-1", "!ack A-1"),
        ("> quoted by hand\n!ack", "> quoted by hand\n!ack"),
        ("!ack", "!ack"),
        ("> <@bot:example.org> only a quotation", ""),
    ],
)
def test_the_quotation_before_an_answer_is_taken_off(body: str, expected: str) -> None:
    """As older clients wrote it (Matrix specification 1.12, "Fallbacks for rich replies")."""
    assert without_fallback(body) == expected


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        ("Tue, 03 Nov 2026 17:00:00 GMT", timedelta(seconds=-0.5)),
        ("Tue, 03 Nov 2026 16:55:00 GMT", timedelta(seconds=299.5)),
        ("Tue, 03 Nov 2026 17:00:00 -0000", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_the_date_of_an_answer_says_how_far_our_clock_is_off(
    date: str | None, skew: timedelta | None
) -> None:
    """The header is cut to seconds, and may be anything."""
    assert skew_by(date, datetime(2026, 11, 3, 17, tzinfo=UTC)) == skew
