"""What officers see in the terminal: edits applied, cards readable, nothing a terminal would obey."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.demo.conversation import Conversations, Heard
from bot.demo.shown import harmless, styled, update_line
from bot.kernel.card import Code, Pre, Strong, bullet, card, line, render
from bot.kernel.language import Language, Voice
from storage.inbox import Received

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
ANNA, OTTO = "@anna:rcmp.example", "@otto:cbp.example"


def event(number: int, kind: str, sender: str = ANNA, **content: Any) -> Received:
    """An event of one room."""
    return Received(f"${number}", "!room", sender, kind, content, NOON, NOON)


def bodies(conversations: Conversations) -> list[str]:
    """What the room shows."""
    return [heard.body for heard in conversations.in_room("!room")]


def test_an_edit_replaces_its_message_where_it_stood() -> None:
    conversations = Conversations()
    conversations.take(event(1, "message", body="Bridge closed", msgtype="m.text"))
    conversations.take(event(2, "message", body="Understood", msgtype="m.text", reply_to="$1"))
    change = conversations.take(event(3, "edit", target="$1", body="Bridge open"))
    assert change is not None
    assert change.before is not None
    assert change.before.body == "Bridge closed"
    assert bodies(conversations) == ["Bridge open", "Understood"]


def test_nobody_edits_what_another_said() -> None:
    conversations = Conversations()
    conversations.take(event(1, "message", body="Bridge closed", msgtype="m.text"))
    assert conversations.take(event(2, "edit", OTTO, target="$1", body="Bridge open")) is None
    assert bodies(conversations) == ["Bridge closed"]


def test_a_removed_message_is_gone() -> None:
    conversations = Conversations()
    conversations.take(event(1, "message", body="Bridge closed", msgtype="m.text"))
    conversations.take(event(2, "redaction", target="$1"))
    assert bodies(conversations) == []


def test_a_notice_rings_nobody_and_a_mention_rings_whom_it_names() -> None:
    conversations = Conversations()
    conversations.take(event(1, "message", body="a", msgtype="m.notice", mentions=[OTTO]))
    conversations.take(event(2, "message", body="b", msgtype="m.text", mentions=[OTTO]))
    notice, text = conversations.in_room("!room")
    assert not notice.rings(OTTO)
    assert text.rings(OTTO)
    assert not text.rings(ANNA)


def test_a_card_reads_on_a_terminal_as_its_plain_body() -> None:
    voice = Voice(Language.EN, ZoneInfo("UTC"), NOON)
    shown = card(
        line(Strong("A-1"), " SEVERE"),
        bullet("RCMP ", Code("!ack A-1")),
        bullet("CBP"),
        Pre("!alrt x\n ^"),
        "End",
    )
    [page] = render(shown, voice)
    heard = Heard("$1", "!room", ANNA, page.body, page.html, True, (), None, NOON)
    assert styled(heard).plain == page.body


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("one<br>two", "one\ntwo"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("<mx-reply>quoted</mx-reply>said", "said"),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("<b>never closed", "never closed"),
        ("</b>never opened", "never opened"),
        ("red \x1b[31m alarm\x07", "red [31m alarm"),
    ],
)
def test_html_of_others_is_shown_harmlessly(html: str, plain: str) -> None:
    assert styled(Heard("$1", "!room", ANNA, "", html, True, (), None, NOON)).plain == plain


def test_text_that_would_turn_the_line_around_is_shown_without_that() -> None:
    assert harmless("abc\u202edef\r\ngh") == "abcdef\ngh"


def test_an_update_is_the_line_that_changed() -> None:
    before = Heard("$1", "!room", ANNA, "A-1 SEVERE\n• RCMP silent", None, True, (), None, NOON)
    after = Heard("$1", "!room", ANNA, "A-1 SEVERE\n• RCMP accepted", None, True, (), None, NOON)
    assert update_line(before, after) == "RCMP accepted"
