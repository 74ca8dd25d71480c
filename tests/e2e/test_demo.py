"""What a stranger types first: the console with its own homeserver, and the tour."""

import asyncio
import io
import json
import stat
import sys
from pathlib import Path

import pytest

from bot.cli import in_a_line
from bot.demo.console import Screen, from_pipe
from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer, Unanswered
from bot.demo.script import ADMIN, Opens, Says, Tells
from bot.demo.tour import Stage, play
from tests.e2e.terminal import Terminal
from tests.e2e.world import world

RUN_SECONDS = 120.0


async def tandem(
    environment: dict[str, str], data: Path, *arguments: str, typed: str = ""
) -> tuple[int, str, str]:
    """Run the command with this input; exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment | {"TANDEM_DATA": str(data)},
    )
    async with asyncio.timeout(RUN_SECONDS):
        out, err = await process.communicate(typed.encode(errors="surrogateescape"))
    return process.returncode or 0, out.decode(), err.decode()


async def test_each_line_of_a_pipe_is_said_and_answered_and_a_second_run_knows_the_first(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    data = tmp_path / "data"
    lines = '!whoami\n\ngood morning \udcff\n!alert severe "Bridge closed" to=ops\n!ack A-1\n'
    code, out, err = await tandem(environment, data, "run", "--console", typed=lines)
    assert code == 0, err
    assert "> !room serve home ops" in err
    said = [line for line in out.splitlines() if line.startswith("> ")]
    assert said == [
        "> !whoami",
        "> good morning \ufffd",
        '> !alert severe "Bridge closed" to=ops',
        "> !ack A-1",
    ]
    assert "Commands begin with !" in out
    assert "A-1 SEVERE: Bridge closed" in out
    assert "A-1: your answer is on record" in out
    first = json.loads((data / "console" / "person.json").read_text())

    code, out, err = await tandem(environment, data, "run", "--console", typed="!alert list\n")
    assert code == 0, err
    assert "A-1 SEVERE: Bridge closed" in out
    assert "!room serve" not in err
    for known in (first["localpart"], first["password"], first["recovery_key"], "http://127.0.0.1:"):
        assert known in err
    assert json.loads((data / "console" / "person.json").read_text()) == first
    open_to_others = [
        file
        for file in (data, *data.rglob("*"))
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


async def test_a_line_without_an_answer_is_named_and_makes_the_run_fail(
    tmp_path: Path, homeserver: EmbeddedHomeserver, capsys: pytest.CaptureFixture[str]
) -> None:
    await homeserver.register("lonely", "a long password")
    async with await Officer.open(tmp_path, homeserver.url, "lonely", "a long password") as officer:
        officer.patience = 0.2
        screen = Screen(officer, typed=False)
        screen.home = await officer.create_room("Nobody else")
        assert await from_pipe(officer, screen, io.StringIO("!ping\n")) == 1
        with pytest.raises(Unanswered) as unanswered:
            await officer.ask(screen.home, "!ping", answer="pong")
    out, err = capsys.readouterr()
    assert out == "> !ping\n"
    assert "No answer within 0.2 s to: !ping" in err
    assert in_a_line(unanswered.value) == (
        "@lonely:tandem.localhost waited in vain for 0.2 s; the bot's log says more"
    )


async def test_at_a_keyboard_a_command_is_answered_and_ctrl_d_leaves(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = (sys.executable, "-m", "bot", "run", "--console")
    async with Terminal.running(command, environment | {"TANDEM_DATA": str(tmp_path / "data")}) as terminal:
        await terminal.reads("Ctrl-D leaves")
        await terminal.reads(">")
        terminal.types("!ping\r")
        await terminal.reads("pong")
        await terminal.reads(">")  # a key that is pressed between two prompts may be lost
        terminal.types("\x04")
        assert await terminal.ended() == 0


async def test_what_is_too_long_is_told_and_the_lines_after_it_are_said(
    tmp_path: Path, homeserver: EmbeddedHomeserver, capsys: pytest.CaptureFixture[str]
) -> None:
    await homeserver.register("verbose", "a long password")
    async with await Officer.open(tmp_path, homeserver.url, "verbose", "a long password") as officer:
        screen = Screen(officer, typed=False)
        screen.home = await officer.create_room("Nobody else")
        officer.patience = 0.2
        assert await from_pipe(officer, screen, io.StringIO(f"!{'x' * 50_000}\n!ping\n")) == 1
    out, err = capsys.readouterr()
    assert out.endswith("> !ping\n")
    assert err.splitlines()[0] == "Too long to send: shorten it."
    assert "!ping" in err.splitlines()[1]


async def test_the_tour_plays_to_its_end_as_expected(tmp_path: Path, environment: dict[str, str]) -> None:
    code, out, err = await tandem(environment, tmp_path / "data", "demo")
    assert code == 0, out + err
    assert "each as expected" in out
    assert "\x1b" not in out, "plain, since it is no terminal"


async def test_a_tour_with_an_answer_that_was_not_expected_names_the_step_and_fails(
    homeserver: EmbeddedHomeserver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acts = (Opens("Sam", "desk"), Says("Sam", "desk", "!ping", answer="gong"), Tells("Never told"))
    admin = f"@{ADMIN}:{homeserver.server_name}"
    async with world(homeserver, tmp_path, "tour-tandem", admin) as there:
        url, bot = homeserver.url, there.bot.user_id
        stage = Stage(tmp_path / "officers", url, bot, homeserver.register, there.pass_time, patience=15.0)
        assert await play(stage, acts) == 1
    out, _ = capsys.readouterr()
    assert "Step 2 of 3 was not as expected" in out
    assert "Waited for: a reply with “gong”" in out
    assert f"{bot}: pong" in out
    assert "Never told" not in out
