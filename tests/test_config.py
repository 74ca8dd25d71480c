"""The configuration: what is allowed is read; of anything else a line says where and what is."""

import base64
from pathlib import Path

import pytest

from bot.config import Settings, load
from bot.setup import Wishes, text
from bot.toml_file import ConfigError

KEY = bytes(range(32))
IN_BASE64 = base64.b64encode(KEY).decode()


def settings_of(folder: Path, content: str, **environ: str) -> Settings:
    """The settings of a file with this content."""
    file = folder / "config.toml"
    file.write_text(content)
    return load(file, environ)


def complaint(folder: Path, content: str, **environ: str) -> str:
    """What is said about a file with this content, its folder left out."""
    with pytest.raises(ConfigError) as told:
        settings_of(folder, content, **environ)
    said = str(told.value)
    assert "\n" not in said
    return said.removeprefix(f"{folder}/")


def secret(folder: Path, name: str, content: str, mode: int = 0o600) -> None:
    """A file with a secret in it."""
    file = folder / name
    file.write_text(content)
    file.chmod(mode)


def test_an_empty_file_is_a_configuration(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "")
    assert settings.is_embedded
    assert settings.data == tmp_path / "data"
    assert settings.database_url() == f"sqlite+aiosqlite:///{tmp_path}/data/tandem.db"
    assert settings.members.admin_roles == ("admin", "liaison")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[matrix]\nuser = 7", "line 2: user cannot be 7; allowed: a user name like"),
        ('\n[matrix]\nhomeserver = "matrix.hq.example"', "line 3: homeserver cannot be 'matrix.hq.example'"),
        ('[matrix]\nhomeserver = "ftp://x.example"', 'allowed: "embedded", or an address like "https://'),
        (
            '[matrix]\nhomserver = "embedded"',
            "line 2: unknown key homserver in [matrix]; did you mean homeserv",
        ),
        (
            "[matrix]\ncolour = 1",
            "line 2: unknown key colour in [matrix]; allowed: homeserver, user, device_",
        ),
        ("[matrx]\nuser = 'a'", "line 1: unknown section [matrx]; did you mean matrix?"),
        ("[web]\nport = 1", "line 1: unknown section [web]; allowed: data, matrix, database, security, mem"),
        ("folder = 'x'", "line 1: unknown key folder; allowed: data"),
        ("data = 3", "line 1: data cannot be 3; allowed: the path of a folder"),
        ("matrix = 3", "line 1: matrix is a section: [matrix]"),
        (
            "[members]\nadmins = '@sam:hq.example'",
            "line 2: admins cannot be '@sam:hq.example'; allowed: a list",
        ),
        ("[members]\nadmins = ['sam smith']", "line 2: admins cannot be a list: ['sam smith']"),
        (
            "[members]\nadmin_roles = ['king']",
            "line 2: admin_roles cannot be a list: ['king']; allowed: a list of",
        ),
        ("[members]\nagency = 'hq'", "line 2: agency cannot be 'hq'; allowed: a code of 2 to 10 capitals"),
        (
            "[members]\npinning = 'never'",
            'line 2: pinning cannot be \'never\'; allowed: "first-sight" or "finger',
        ),
        ("[rooms]\nzone = 'EST5'", "line 2: zone cannot be 'EST5'; allowed: a time zone like"),
        ("[rooms]\nlanguage = 'de'", 'line 2: language cannot be \'de\'; allowed: "en" or "fr"'),
        ("[logs]\nlevel = 'loud'", 'line 2: level cannot be \'loud\'; allowed: "debug" or "info"'),
        (
            "[database]\nurl = 'mysql://db.example/x'",
            "line 2: url cannot be 'mysql://db.example/x'; allowed:",
        ),
    ],
)
def test_what_is_not_allowed_is_told_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    assert said in complaint(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "line"),
    [("[matrix]\nuser = tandem\n", 2), ("[matrix\nuser = 'x'", 1), ("a = 1\n\nb = [1,\n", 3), ("=", 1)],
)
def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path, content: str, line: int) -> None:
    assert complaint(tmp_path, content).startswith(f"config.toml, line {line}: not TOML: ")


@pytest.mark.parametrize(
    "content",
    [
        "[matrix]\npassword = 'tr0ub4dor'",
        "[matrix]\naccess_token = 'syt_tr0ub4dor'",
        "[security]\nmaster_key = 'tr0ub4dor'",
        "\nsecret = 'tr0ub4dor'",
        "[database]\nurl = 'postgresql://tandem:tr0ub4dor@db.hq.example/tandem'",
        "[matrix]\nhomeserver = 'https://tandem:tr0ub4dor@hq.example'",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    said = complaint(tmp_path, content)
    assert said.startswith("config.toml, line 2: ")
    assert "this file" in said
    assert "tr0ub4dor" not in said


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no .*; make one with: tandem init"):
        load(tmp_path / "config.toml", {})


def test_an_admin_of_ones_own_homeserver_is_named_in_full(tmp_path: Path) -> None:
    content = "[matrix]\nhomeserver = 'https://hq.example'\n[members]\nadmins = ['sam']"
    assert complaint(tmp_path, content) == 'config.toml, line 4: "sam" needs its server: "@sam:hq.example"'


def test_pinning_by_fingerprint_needs_that_of_each_admin(tmp_path: Path) -> None:
    content = "[members]\nadmins = ['@sam:hq.example']\npinning = 'fingerprint'"
    assert "line 3: pinning by fingerprint needs that of @sam:hq.example" in complaint(tmp_path, content)
    fingerprint = "fO37 Gq0X yL6z 1oTn 8Vb4 WcRk 2mDs 9HaE uPjI 5tQx NZk"
    settings = settings_of(tmp_path, f"{content}\nfingerprints = {{ '@sam:hq.example' = '{fingerprint}' }}")
    assert settings.members.fingerprints == {"@sam:hq.example": fingerprint.replace(" ", "")}


def test_the_data_folder_is_beside_the_file_or_as_the_environment_says(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "", TANDEM_DATA="/srv/tandem").data == Path("/srv/tandem")
    assert (
        settings_of(tmp_path, "data = 'kept/here'", TANDEM_DATA="/srv/tandem").data == tmp_path / "kept/here"
    )
    assert settings_of(tmp_path, "data = '.'").data == tmp_path


def test_a_secret_comes_from_environment_credential_or_file_in_this_order(tmp_path: Path) -> None:
    secret(tmp_path, "pw", "of the file\n")
    content = "[matrix]\npassword_file = 'pw'"
    assert settings_of(tmp_path, content).password() == "of the file"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    secret(credentials, "matrix_password", "of systemd\n", 0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert settings_of(tmp_path, content, **environ).password() == "of systemd"
    environ["TANDEM_MATRIX_PASSWORD"] = "of the environment"
    assert settings_of(tmp_path, content, **environ).password() == "of the environment"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret(tmp_path, "pw", "x", mode)
    settings = settings_of(tmp_path, "[matrix]\npassword_file = 'pw'")
    with pytest.raises(ConfigError, match=r"line 2: others can read .*; mend it with: chmod 600 "):
        settings.password()


def test_a_missing_secret_says_where_it_may_come_from(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "\n[security]\nmaster_key_file = 'nowhere'")
    with pytest.raises(ConfigError, match=r"line 3: cannot read .*nowhere .*TANDEM_MASTER_KEY .*master_key$"):
        settings.master_key()
    with pytest.raises(ConfigError, match="a secret is missing in .matrix.: give password_file, TANDEM_MAT"):
        settings.password()


@pytest.mark.parametrize("content", ["short", base64.b64encode(b"x" * 31).decode(), "ä" * 44, "!" * 44])
def test_a_master_key_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    secret(tmp_path, "key", content)
    settings = settings_of(tmp_path, "[security]\nmaster_key_file = 'key'")
    with pytest.raises(ConfigError, match="line 2: the master key is not 32 bytes in base64"):
        settings.master_key()


def test_the_master_key_is_read(tmp_path: Path) -> None:
    secret(tmp_path, "key", f"{IN_BASE64}\n")
    assert settings_of(tmp_path, "[security]\nmaster_key_file = 'key'").master_key() == KEY
    assert settings_of(tmp_path, "", TANDEM_MASTER_KEY=IN_BASE64).master_key() == KEY


def test_an_address_with_a_password_is_a_secret(tmp_path: Path) -> None:
    url = "postgresql://tandem:x@db.hq.example/tandem"
    settings = settings_of(tmp_path, "[database]\nurl = 'postgresql://other/x'", TANDEM_DATABASE_URL=url)
    assert settings.database_url() == "postgresql+asyncpg://tandem:x@db.hq.example/tandem"


def test_what_init_was_told_is_what_is_read(tmp_path: Path) -> None:
    wishes = Wishes(
        homeserver="https://hq.example",
        user="@tandem:hq.example",
        admins=("@sam:hq.example", "@ana:hq.example"),
        agency="SQ",
        agency_name='Sûreté "du" Québec \\',
        language="fr",
        zone="America/Toronto",
        data="elsewhere",
    )
    settings = settings_of(tmp_path, text(wishes))
    assert settings.matrix.homeserver == "https://hq.example"
    assert settings.members.admins == ("@sam:hq.example", "@ana:hq.example")
    assert settings.members.agency_name == 'Sûreté "du" Québec \\'
    assert (settings.rooms.language, settings.rooms.zone) == ("fr", "America/Toronto")
    assert settings.data == tmp_path / "elsewhere"


@pytest.mark.parametrize("content", ["data = " + "[" * 5000, "data = " + "9" * 5000])
def test_toml_that_its_own_parser_breaks_on_is_told_like_any_other(tmp_path: Path, content: str) -> None:
    assert "not TOML" in complaint(tmp_path, content)
