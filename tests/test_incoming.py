"""What was typed, from body and HTML: people who are named become their ids, in one pass."""

import time

import pytest

from bot.runtime.incoming import words_of

LINK = '<a href="https://matrix.to/#/'


@pytest.mark.parametrize(
    "html",
    [
        LINK + '@bob:cbp.example">Bob</a> suspend',
        '<a  class="pill" href="https://matrix.to/#/%40bob%3Acbp.example?via=x" rel="x"><b>Bob</b></a>',
        '<A HREF="https://matrix.to/#/@bob:cbp.example">Bob</A>',
    ],
)
def test_a_person_who_is_named_is_her_id(html: str) -> None:
    content = {"body": "!member suspend Bob", "formatted_body": html}
    assert words_of(content) == "!member suspend @bob:cbp.example"


@pytest.mark.parametrize(
    "piece", [LINK, "<a ", "<a  ", LINK + "@b:c", LINK + '@b:c">', LINK + '@b:c">b<b>', "<a x='y ", '<a x="']
)
def test_html_of_links_that_never_end_is_read_at_once(piece: str) -> None:
    """The largest message there is; it took minutes, in which the bot heard nobody."""
    before = time.process_time()
    assert words_of({"body": "hello", "formatted_body": piece * (64_000 // len(piece))}) == "hello"
    assert time.process_time() - before < 1
