"""The console: what the person at the keyboard types, without a homeserver."""

import io
import json
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.plain_text import PlainTextOutput

from bot.demo.console import Screen, from_keyboard, from_pipe, person
from bot.demo.officer import Officer
from bot.matrix.errors import TOO_LARGE, MatrixError, Rejected, SendRefused, SignedOut, Unreachable


class Lonely:
    """An officer in a room where some of what she says cannot be sent."""

    def __init__(self, **refusals: MatrixError) -> None:
        self.user_id = "@lonely:hq.example"
        self.said: list[str] = []
        self._refusals = refusals

    async def say(self, _room_id: str, body: str) -> None:
        if body in self._refusals:
            raise self._refusals[body]
        self.said.append(body)

    ask = say

    async def meanwhile(self, wish: Coroutine[Any, Any, str]) -> str:
        return await wish

    async def quiet(self, _seconds: float) -> None:
        pass


def screen_of(lonely: Lonely) -> tuple[Officer, Screen]:
    """Her as a client, and what she sees."""
    officer = cast(Officer, lonely)
    return officer, Screen(officer, typed=False)


@pytest.mark.parametrize(
    ("login", "bot", "localpart"),
    [
        ("Sam", "tandem", "sam"),
        ("root", "tandem", "admin"),
        ("äöü", "tandem", "admin"),
        ("tandem", "tandem", "admin"),
        ("admin", "admin", "operator"),
    ],
)
def test_the_person_is_named_as_on_this_machine_or_by_her_role_and_never_as_the_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, bot: str, localpart: str
) -> None:
    monkeypatch.setenv("LOGNAME", login)
    someone = person(tmp_path / "console", bot)
    assert someone.localpart == localpart
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert person(tmp_path / "console", bot) == someone


def test_a_person_who_was_here_before_keeps_her_name(tmp_path: Path) -> None:
    kept = {"localpart": "you", "password": "p", "room_id": "!r:hq", "recovery_key": "k"}
    (tmp_path / "person.json").write_text(json.dumps(kept))
    assert asdict(person(tmp_path)) == kept


async def test_what_cannot_be_sent_from_the_prompt_is_told_and_the_prompt_goes_on() -> None:
    lonely = Lonely(long=SendRefused(TOO_LARGE, permanent=True))
    shown = io.StringIO()
    with create_pipe_input() as keys, create_app_session(input=keys, output=PlainTextOutput(shown)):
        keys.send_text("long\r!ping\r:q\r")
        assert await from_keyboard(*screen_of(lonely), ()) == 0
    assert "Too long to send: shorten it." in shown.getvalue()
    assert lonely.said == ["!ping"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SendRefused(TOO_LARGE, permanent=True), "Too long to send: shorten it."),
        (Rejected(413, "M_TOO_LARGE", {}), "Too long to send: shorten it."),
        (SendRefused("malformed", permanent=True), "Not sent: malformed."),
        (
            Unreachable("the homeserver does not answer; is it up?"),
            "The homeserver does not answer; is it up?",
        ),
    ],
)
async def test_a_line_that_cannot_be_sent_is_told_and_makes_the_run_fail_at_its_end(
    error: MatrixError, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lonely = Lonely(lost=error)
    assert await from_pipe(*screen_of(lonely), io.StringIO("lost\n!ping\n")) == 1
    assert lonely.said == ["!ping"]
    assert capsys.readouterr().err == f"{told}\n"


async def test_a_sign_in_that_has_ended_ends_the_console() -> None:
    with pytest.raises(SignedOut):
        await from_pipe(*screen_of(Lonely(lost=SignedOut())), io.StringIO("lost\n!ping\n"))
