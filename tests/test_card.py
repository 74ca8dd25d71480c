"""Cards: a plain body that is complete by itself, HTML that clients show, pages that fit a telephone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.kernel.card import MAX_BYTES, MAX_LINES, Code, Mention, Pre, Strong, bullet, card, line, render
from bot.kernel.language import Language, Named, ToType, Voice, t
from bot.runtime.posting import content_of, edit_of

VOICE = Voice(Language.EN, ZoneInfo("UTC"), datetime(2026, 11, 3, 15, 0, tzinfo=UTC))


def test_a_card_has_a_plain_body_and_html() -> None:
    shown = card(
        line(Strong(t("A-1 SEVERE")), ": ", "Bridge <closed>"),
        bullet(Mention("@roy:rcmp.example", "Roy"), " silent"),
        bullet(Code("!ack A-1")),
        Pre("!alert red\n       ^^^"),
        "a\nb",
    )
    (page,) = render(shown, VOICE)
    assert page.body == (
        "A-1 SEVERE: Bridge <closed>\n• Roy silent\n• !ack A-1\n!alert red\n       ^^^\na\nb"
    )
    assert page.html == (
        "<p><strong>A-1 SEVERE</strong>: Bridge &lt;closed&gt;</p>"
        '<ul><li><a href="https://matrix.to/#/@roy:rcmp.example">Roy</a> silent</li>'
        "<li><code>!ack A-1</code></li></ul>"
        "<pre><code>!alert red\n       ^^^</code></pre><p>a<br>b</p>"
    )


def test_values_cannot_bring_markup_or_places_along() -> None:
    (page,) = render(card(t("{word} is unknown", word="<b>{x}</b>")), VOICE)
    assert page.body == "<b>{x}</b> is unknown"
    assert page.html == "<p>&lt;b&gt;{x}&lt;/b&gt; is unknown</p>"


def test_a_command_is_named_as_it_works_where_it_is_read() -> None:
    french = Voice(Language.FR, VOICE.zone, VOICE.now, prefix=".")
    shown = card(line(ToType(Named("!help NOUN", "!aide <NOM>"))), t("{command}", command=ToType("!help")))
    (page,) = render(shown, french)
    assert page.body == ".aide <NOM>\n.help"
    assert page.html == "<p><code>.aide &lt;NOM&gt;</code><br>.help</p>"


def test_who_is_named_twice_rings_once() -> None:
    roy = Mention("@roy:rcmp.example")
    assert card(line(roy), bullet(roy, Mention("@cho:cbp.example"))).mentioned() == [
        "@roy:rcmp.example",
        "@cho:cbp.example",
    ]


@given(st.lists(st.text(max_size=400), min_size=1, max_size=60))
def test_every_page_fits_a_telephone_and_an_event(lines: list[str]) -> None:
    pages = render(card(line(each) for each in lines), VOICE)
    for page in pages:
        tall = max(page.body.count("\n") + 1 for page in pages)
        assert tall <= max(MAX_LINES, max(each.count("\n") for each in lines) + 2)
        assert len(page.body.encode()) + len(page.html.encode()) <= MAX_BYTES + 1024


@pytest.mark.parametrize("count", [3, 6, 7, 20])
def test_a_page_says_the_same_in_both_languages_and_fits_a_telephone(count: int) -> None:
    french = Voice(Language.FR, VOICE.zone, VOICE.now)
    pages = render(card(line(Strong(t("English")), f" {number}") for number in range(count)), VOICE, french)
    said = []
    for page in pages:
        lines = page.body.split("\n")
        assert len(lines) <= MAX_LINES
        lines = lines[:-1] if page is not pages[-1] else lines
        english, others = lines[: len(lines) // 2], lines[len(lines) // 2 :]
        assert [each.split()[1] for each in english] == [each.split()[1] for each in others]
        assert all(each.startswith("English ") for each in english)
        assert not any(each.startswith("English ") for each in others)
        said += english
    assert said == [f"English {number}" for number in range(count)]


def test_only_mentions_ring_and_an_empty_list_says_so() -> None:
    (page,) = render(card("x"), VOICE)
    assert content_of(page)["m.mentions"] == {}
    assert content_of(page)["msgtype"] == "m.notice"
    ringing = content_of(page, rings=True, mentions=["@roy:rcmp.example"])
    assert ringing["m.mentions"] == {"user_ids": ["@roy:rcmp.example"]}
    assert ringing["msgtype"] == "m.text"


def test_an_edit_shows_old_clients_a_star_and_rings_nobody() -> None:
    (page,) = render(card("x"), VOICE)
    edit = edit_of(page, rings=True)
    assert edit["body"] == "* x"
    assert edit["m.new_content"]["body"] == "x"
    assert edit["m.mentions"] == edit["m.new_content"]["m.mentions"] == {}
