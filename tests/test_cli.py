"""The `tandem` command: what it writes, what it says, and with which code it ends."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.alone import alone_in
from bot.cli import outcome
from bot.cli.asking import Keyboard, found
from bot.cli.running import console_settings
from bot.config import load
from bot.toml_file import ConfigError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, and nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("TANDEM_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def said(here: Path, capsys: pytest.CaptureFixture[str]) -> "Said":
    """A command that is run here, and what came of it."""
    return Said(capsys)


class Said:
    """Runs commands; `out` and `err` are what the last one wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def by(self, *arguments: str) -> int:
        """The exit code."""
        code = outcome(arguments)
        self.out, self.err = self._capsys.readouterr()
        return code

    def told(self) -> str:
        """What has been written to stderr since."""
        self.out, self.err = self._capsys.readouterr()
        return self.err


def mode(path: Path) -> int:
    """The rights on a file."""
    return stat.S_IMODE(path.stat().st_mode)


OWN = ("init", "--homeserver", "https://matrix.hq.example", "--user", "@tandem:hq.example")
INIT = (*OWN, "--admin", "@sam:hq.example")


def test_init_writes_a_configuration_and_a_key_that_nobody_else_can_read(said: Said, here: Path) -> None:
    assert said.by(*INIT, "--admin", "@ana:hq.example", "--agency", "sq") == 0
    assert said.out.splitlines() == [
        "wrote config.toml",
        "wrote master.key",
        "Next: tandem check --config config.toml",
        "After the first start, for the safe: tandem identity recovery-key --config config.toml",
    ]
    assert mode(here / "config.toml") == mode(here / "master.key") == 0o600
    settings = load(here / "config.toml", {})
    assert settings.members.admins == ("@sam:hq.example", "@ana:hq.example")
    assert settings.members.agency == "SQ"
    assert len(settings.master_key()) == 32


def test_init_keeps_a_password_from_the_environment_in_a_file_of_its_own(
    said: Said, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_MATRIX_PASSWORD", "correct horse")
    assert said.by(*INIT) == 0
    assert "correct horse" not in (here / "config.toml").read_text() + said.out
    assert mode(here / "matrix.password") == 0o600
    assert load(here / "config.toml", {}).password() == "correct horse"


def test_init_replaces_nothing_unless_it_is_forced_and_never_the_master_key(said: Said, here: Path) -> None:
    said.by(*INIT)
    before, key = (here / "config.toml").read_text(), (here / "master.key").read_text()
    assert said.by("init", "--agency", "SQ") == 1
    assert said.err == (
        "tandem: config.toml is there already; choose another --config, or give --force to replace it\n"
    )
    assert (here / "config.toml").read_text() == before
    assert said.by("init", "--agency", "SQ", "--force") == 0
    assert load(here / "config.toml", {}).members.agency == "SQ"
    assert (here / "master.key").read_text() == key


@pytest.mark.parametrize(
    ("flags", "wrong"),
    [
        (("--zone", "EST5"), "zone cannot be 'EST5'; allowed: a time zone like"),
        (("--homeserver", "hq.example"), "homeserver cannot be 'hq.example'; allowed: "),
        (("--homeserver", "https://hq.example", "--admin", "sam"), '"sam" needs its server'),
    ],
)
def test_init_refuses_what_makes_no_configuration_and_leaves_nothing(
    said: Said, here: Path, flags: tuple[str, ...], wrong: str
) -> None:
    assert said.by("init", *flags) == 1
    assert said.err.startswith(f"tandem: {wrong}")
    assert said.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_init_makes_no_bot_that_nobody_could_ever_command(said: Said, here: Path) -> None:
    assert said.by(*OWN) == 1
    assert said.err == (
        "tandem: nobody could command a bot without admins; name one: --admin @sam:hq.example\n"
    )
    assert list(here.iterdir()) == []
    assert said.by("init") == 0, "on its own homeserver the console enrols whoever sits at the keyboard"


class Answers:
    """Somebody at the keyboard who types these lines."""

    def __init__(self, *lines: str) -> None:
        self._lines = iter(lines)
        self.asked: list[str] = []

    def line(self, question: str) -> str:
        self.asked.append(question)
        return next(self._lines)

    @property
    def keyboard(self) -> Keyboard:
        return Keyboard(self.line, self.line)


def test_an_answer_that_cannot_be_is_told_at_once_and_asked_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = Answers(
        *("hq.example", "https://hq.example"),
        *("Tandem Bot", "tandem"),
        *("", "Sam!", "sam", "@sam:hq.example  @ana:hq.example"),
        *("the police", "rcmp", "The Police", "correct horse"),
    )
    assert found(here / "config.toml", answers.keyboard, force=False) == 0
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [line.partition(";")[0] for line in told] == [
        "homeserver cannot be 'hq.example'",
        "user cannot be 'Tandem Bot'",
        "nobody could command a bot without admins",
        "'Sam!' is no user id",
        '"sam" needs its server: "@sam:hq.example"',
        "agency cannot be 'THE POLICE'",
    ]
    settings = load(here / "config.toml", {})
    assert settings.members.admins == ("@sam:hq.example", "@ana:hq.example")
    assert (settings.members.agency, settings.password()) == ("RCMP", "correct horse")


def test_what_makes_all_answers_vain_is_told_before_the_first_question(said: Said, here: Path) -> None:
    said.by("init")
    answers = Answers()
    with pytest.raises(ConfigError, match="is there already"):
        found(here / "config.toml", answers.keyboard, force=False)
    with pytest.raises(ConfigError, match="zone cannot be"):
        found(here / "new.toml", answers.keyboard, force=False, zone="EST5")
    assert answers.asked == []


def test_a_flag_is_not_asked_for_unless_it_cannot_be(here: Path) -> None:
    answers = Answers("tandem", "", "HQ")
    given = {"homeserver": "embedded", "agency": "much too long a code", "agency_name": "Headquarters"}
    assert found(here / "config.toml", answers.keyboard, force=False, **given) == 0
    assert [question.partition(" ")[0] for question in answers.asked] == ["The", "Admins,", "Their"]


@pytest.mark.parametrize(
    ("arguments", "code", "err"),
    [
        (("run",), 1, "tandem: there is no config.toml; make one with: tandem init"),
        (("run", "--config", "/nowhere/x.toml"), 1, "tandem: there is no /nowhere/x.toml; make one with"),
        (("audit", "verify"), 1, "tandem: there is no config.toml"),
        (("chek",), 2, "tandem: No such command 'chek'. Did you mean 'check'"),
        (("run", "--bogus"), 2, "tandem: No such option: --bogus"),
        (("audit", "export", "--format", "xml"), 2, "tandem: Invalid value for '--format'"),
    ],
)
def test_an_error_is_one_line_with_its_mend(
    said: Said, arguments: tuple[str, ...], code: int, err: str
) -> None:
    assert said.by(*arguments) == code
    assert said.err.startswith(err)
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize("arguments", [(), ("db",), ("audit",), ("account",)])
def test_without_a_command_there_is_the_help_and_nothing_else(said: Said, arguments: tuple[str, ...]) -> None:
    assert said.by(*arguments) == 2
    assert "Usage: " in said.out
    assert said.err == ""


def a_homeserver_that_cannot_start(folder: Path) -> None:
    """Its database is none."""
    (folder / "homeserver.db").write_text("no database at all, and longer than a header " * 9)


def a_homeserver_of_another_name(folder: Path) -> None:
    """As if it had been copied from elsewhere."""
    (folder / "kept.json").write_text(json.dumps({"server_name": "hq.example", "port": 0}))


@pytest.mark.parametrize(
    ("prepare", "err"),
    [
        (
            a_homeserver_that_cannot_start,
            "the homeserver ended at once; the end of {folder}/homeserver.log says",
        ),
        (
            a_homeserver_of_another_name,
            "{folder} holds the homeserver hq.example, not tandem.localhost; choose another data folder",
        ),
    ],
)
def test_a_homeserver_that_does_not_start_is_told_in_one_line(
    said: Said, here: Path, prepare: Callable[[Path], None], err: str
) -> None:
    said.by("init")
    folder = here / "data" / "homeserver"
    folder.mkdir(parents=True)
    (here / "data").chmod(0o700)
    prepare(folder)
    assert said.by("run") == 1
    assert said.err.startswith(f"tandem: {err.format(folder=folder)}")
    assert said.err.count("\n") == 1


def test_the_end_of_the_homeservers_log_is_shown_to_whoever_asks(
    said: Said, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said.by("init")
    folder = here / "data" / "homeserver"
    folder.mkdir(parents=True)
    a_homeserver_that_cannot_start(folder)
    monkeypatch.setenv("TANDEM_DEBUG", "1")
    assert said.by("run") == 1
    assert "file is not a database" in said.err


def test_the_console_wants_its_own_homeserver(said: Said) -> None:
    said.by(*INIT)
    assert said.by("run", "--console", "--config", "config.toml") == 1
    assert 'the console needs homeserver = "embedded"' in said.err


def test_the_console_makes_a_configuration_in_the_data_folder_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = console_settings()
    assert settings.file.path == here / "data" / "config.toml"
    assert settings.data == here / "data"
    assert console_settings().master_key() == settings.master_key()
    assert capsys.readouterr().err == ""


def test_the_console_uses_the_configuration_that_is_here(said: Said) -> None:
    said.by("init", "--agency", "SQ")
    settings = console_settings()
    assert settings.file.path == Path("config.toml")
    assert settings.members.agency == "SQ"


def test_a_configuration_made_after_the_console_goes_on_with_its_database(said: Said, here: Path) -> None:
    key = console_settings().master_key()
    assert said.by("init", "--agency", "SQ") == 0
    assert said.out.splitlines()[0] == "wrote config.toml"
    settings = load(here / "config.toml", {})
    assert (settings.data, settings.master_key()) == (here / "data", key)
    assert not (here / "master.key").exists()


def test_the_console_says_why_it_does_not_use_the_configuration_that_is_here(
    said: Said, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said.by(*INIT)
    assert console_settings().file.path == here / "data" / "config.toml"
    assert said.told() == (
        "config.toml here is not used: its homeserver is https://matrix.hq.example, and the console runs one "
        f"of its own. Used: {here / 'data' / 'config.toml'}\n"
    )
    said.by("init", "--force")
    monkeypatch.setenv("TANDEM_DATA", str(here / "elsewhere"))
    assert console_settings().data == here / "elsewhere"
    assert "its data is in" in said.told()


def test_a_database_is_made_upgraded_and_its_record_verified_and_exported(said: Said, here: Path) -> None:
    said.by("init", "--data", "kept")
    assert said.by("audit", "verify") == 1
    assert "there is no database" in said.err
    assert said.by("db", "upgrade") == 0
    assert mode(here / "kept") == 0o700
    assert said.by("db", "upgrade", "--json") == 0
    found = json.loads(said.out)
    assert found["before"] == found["after"]
    assert said.by("audit", "verify", "--json") == 0
    assert json.loads(said.out)["ok"] is True
    assert said.by("audit", "export") == 0
    assert said.out.startswith("id,at,type,actor,")
    assert said.by("audit", "export", "--since", "yesterday") == 1
    assert "--since yesterday is no day or instant" in said.err


def test_another_master_key_is_told(said: Said, here: Path) -> None:
    said.by("init")
    said.by("db", "upgrade")
    assert said.by("audit", "verify") == 0
    (here / "master.key").unlink()
    said.by("init", "--force")
    assert said.by("audit", "verify") == 1
    assert said.err.startswith("tandem: the master key does not belong to this database; give the key")
    assert said.by("check") == 1
    assert "does not belong to this database" in said.out


def test_check_ends_with_1_if_something_fails(said: Said) -> None:
    said.by("init")
    assert said.by("check", "--json") == 0
    assert json.loads(said.out)["ok"] is True
    assert said.by("check", "--json", "--config", "nowhere.toml") == 1
    assert json.loads(said.out)["findings"][0]["rating"] == "fail"


def test_an_identity_is_shown_and_recovered_only_where_there_is_one(said: Said, here: Path) -> None:
    said.by("init")
    said.by("db", "upgrade")
    assert said.by("identity", "show") == 1
    assert said.err == "tandem: the bot has never signed in; start it once with: tandem run\n"
    assert said.by("identity", "recover") == 1
    assert said.err.startswith("tandem: the embedded homeserver lies in the data folder too; restore ")


def test_a_recovery_key_that_was_mistyped_is_told_before_anything_is_asked(
    said: Said, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_MATRIX_PASSWORD", "correct horse")
    said.by(*INIT, "--homeserver", "http://127.0.0.1:1")
    (here / "key").write_text("EsTc mistyped")
    assert said.by("identity", "recover", "--recovery-key-file", "key") == 1
    assert said.err == "tandem: this recovery key does not open the account's secret storage\n"


def test_version_is_told(said: Said) -> None:
    assert said.by("version") == 0
    assert said.out.startswith("tandem ")
    assert said.by("version", "--json") == 0
    assert list(json.loads(said.out)) == ["tandem"]


def test_the_console_script_keeps_what_it_makes_to_itself(here: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bot", "db", "upgrade", "--config", "absent.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "tandem: there is no absent.toml; make one with: tandem init\n"
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys; sys.argv = ['tandem', 'init']; from bot.cli import main; main()",
        ],
        preexec_fn=lambda: os.umask(0),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert {mode(each) for each in here.iterdir()} == {0o600}


def test_a_second_bot_in_the_same_folder_is_refused(here: Path) -> None:
    outcome(["init"])
    (here / "data").mkdir(mode=0o700)
    with alone_in(here / "data"):
        ended = subprocess.run(
            [sys.executable, "-m", "bot", "run"], capture_output=True, text=True, check=False, timeout=60
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"tandem: another tandem runs in {here / 'data'} (process {os.getpid()}); "
        "stop it, or use another data folder\n"
    )
