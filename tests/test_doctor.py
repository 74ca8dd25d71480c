"""The doctor: what it finds is rated, each fault comes with its mend, and looking changes nothing."""

import base64
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import text

from bot import doctor
from bot.config import Settings, load
from bot.doctor import GIB, Finding, Rating
from bot.kernel import clock
from bot.matrix.checkup import Checkup
from storage.audit import REFUSED, Entry
from storage.crypto import DeviceList
from storage.migrations import revisions
from storage.transaction import Database
from tests.fakes import NOON

OK, WARN, FAIL = Rating.OK, Rating.WARN, Rating.FAIL
KEY = base64.b64encode(b"m" * 32).decode()
SEEN = Checkup("@tandem:hq.example", "DEVICE", "abcdefgh", True, (), 50, True)


@pytest.mark.parametrize(
    ("seconds", "rating"), [(0, OK), (-4, OK), (5, WARN), (-30, WARN), (60, FAIL), (-86400, FAIL)]
)
def test_a_clock_that_is_off_is_told(seconds: int, rating: Rating) -> None:
    assert doctor.rated_skew(timedelta(seconds=seconds)).rating is rating


def test_it_is_told_which_clock_is_ahead() -> None:
    assert doctor.rated_skew(timedelta(minutes=2)).said == "120 s ahead of the homeserver"
    assert doctor.rated_skew(timedelta(minutes=-2)).said == "120 s behind the homeserver"


@pytest.mark.parametrize(
    ("free", "rating"), [(GIB, OK), (GIB - 1, WARN), (GIB // 8, WARN), (GIB // 8 - 1, FAIL)]
)
def test_a_full_disk_is_told_before_it_is_full(free: int, rating: Rating) -> None:
    assert doctor.rated_disk(free).rating is rating


@pytest.mark.parametrize(
    ("found", "rating", "mend"),
    [
        ("0002", OK, None),
        ("0001", WARN, "tandem db upgrade"),
        (None, OK, None),
        ("0003", FAIL, "run the newer release"),
    ],
)
def test_the_revision_of_the_database_is_rated(found: str | None, rating: Rating, mend: str | None) -> None:
    finding = doctor.rated_revision(found, ["0001", "0002"])
    assert finding.rating is rating
    assert mend in (finding.mend or "") if mend else finding.mend is None


@pytest.mark.parametrize(
    ("named", "enrolled", "embedded", "rating"),
    [(1, 0, False, OK), (0, 1, False, OK), (0, 0, True, WARN), (0, 0, False, FAIL)],
)
def test_a_bot_that_nobody_can_command_is_told(
    named: int, enrolled: int, embedded: bool, rating: Rating
) -> None:
    finding = doctor.rated_admins(named, enrolled, embedded=embedded)
    assert finding.rating is rating
    assert rating is OK or 'admins = ["@sam:hq.example"]' in (finding.mend or "")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_what_only_its_owner_may_read_is_well(tmp_path: Path, mode: int) -> None:
    assert doctor.rated_mode(tmp_path, mode) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o777])
def test_what_others_may_read_fails_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    finding = doctor.rated_mode(tmp_path / "tandem.db", mode)
    assert finding is not None
    assert finding.mend == f"chmod 600 {tmp_path}/tandem.db"


def names(findings: list[Finding], rating: Rating) -> list[str]:
    return [each.name for each in findings if each.rating is rating]


def test_an_account_that_is_well_is_told_with_its_fingerprint() -> None:
    found = [*doctor.rated_account(SEEN)]
    assert names(found, OK) == ["token", "identity", "recovery key", "one-time keys", "fallback key"]
    assert "abcd efgh" in found[1].said


@pytest.mark.parametrize(
    ("change", "rating", "name"),
    [
        ({"own_chain": False}, FAIL, "identity"),
        ({"foreign_devices": ("EVIL",)}, FAIL, "devices"),
        ({"one_time_keys": 0}, WARN, "one-time keys"),
        ({"fallback_key": False}, WARN, "fallback key"),
        ({"recovery_key": False}, WARN, "recovery key"),
    ],
)
def test_what_is_wrong_with_the_account_is_told(change: dict[str, object], rating: Rating, name: str) -> None:
    seen = Checkup(**(vars(SEEN) | change))
    assert names([*doctor.rated_account(seen)], rating) == [name]


# On real files, a real database, and a homeserver that says what it is told to


@pytest.fixture
def environ() -> dict[str, str]:
    return {"TANDEM_MASTER_KEY": KEY, "TANDEM_MATRIX_PASSWORD": "hunter"}


def configured(folder: Path, environ: dict[str, str], homeserver: str = "embedded") -> Settings:
    file = folder / "config.toml"
    matrix = f'[matrix]\nhomeserver = "{homeserver}"\nuser = "@tandem:hq.example"\n'
    file.write_text(f'{matrix}[members]\nadmins = ["@sam:hq.example"]\n')
    return load(file, environ)


async def made(settings: Settings, key: bytes = b"m" * 32) -> Database:
    settings.data.mkdir(mode=0o700, exist_ok=True)
    database = Database(settings.database_url(), clock.random_bytes)
    await database.upgrade()
    await database.unlock(key, NOON)
    await database.close()
    os.chmod(settings.data / "tandem.db", 0o600)
    return database


async def found(settings: Settings) -> dict[str, Finding]:
    return {each.name: each for each in await doctor.examine(settings)}


async def test_before_the_first_start_there_is_nothing_to_mend_and_nothing_is_made(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    settings = configured(tmp_path, environ)
    report = await doctor.examine(settings)
    assert [each for each in report if each.rating is not OK] == []
    assert os.listdir(tmp_path) == ["config.toml"]


async def test_a_missing_secret_fails_with_its_sources(tmp_path: Path) -> None:
    report = await found(configured(tmp_path, {}, "https://matrix.hq.example:1"))
    assert report["master key"].rating is FAIL
    assert "TANDEM_MASTER_KEY" in report["master key"].said
    assert report["password"].rating is FAIL


async def test_a_database_and_its_key_fit(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = configured(tmp_path, environ)
    await made(settings)
    report = await found(settings)
    assert report["database"].said == f"at revision {revisions()[-1]}, the newest"
    assert report["encryption"].rating is OK
    assert report["permissions"].rating is OK
    assert report["admins"].said == "1 named; the next start enrols them"


async def test_a_changed_identity_and_what_could_not_be_read_are_told(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    settings = configured(tmp_path, environ)
    await made(settings)
    assert [(await found(settings))[name].rating for name in ("identities", "undecryptable")] == [OK, OK]
    database = Database(settings.database_url(), clock.random_bytes)
    await database.unlock(b"m" * 32, NOON)
    async with database.transaction() as tx:
        document = {"master": "other", "devices": []}
        await tx.crypto.save_device_lists([DeviceList("@roy:cbp.example", False, document, "other")])
        for age in (timedelta(hours=1), timedelta(days=2)):
            await tx.audit.add(
                Entry(clock.now() - age, "event", "input", REFUSED, reason_code="undecryptable")
            )
    await database.close()
    report = await found(settings)
    assert report["identities"].said == "not the pinned one: @roy:cbp.example"
    assert "!member verify @roy:cbp.example" in (report["identities"].mend or "")
    assert report["undecryptable"].said == "1 in the last day"


async def test_a_wrong_master_key_fails(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = configured(tmp_path, environ)
    await made(settings, b"x" * 32)
    report = await found(settings)
    assert (report["encryption"].rating, report["encryption"].said) == (
        FAIL,
        "the master key does not belong to this database",
    )


async def test_a_database_that_was_never_unlocked_gets_no_key_from_the_doctor(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    settings = configured(tmp_path, environ)
    database = await made(settings)
    async with database.engine.begin() as connection:
        await connection.execute(text("DELETE FROM data_keys"))
    assert "first start makes it" in (await found(settings))["encryption"].said
    async with database.engine.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM data_keys"))).scalar_one() == 0
    await database.close()


async def test_a_file_that_others_can_read_fails(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = configured(tmp_path, environ)
    await made(settings)
    os.chmod(settings.data / "tandem.db", 0o644)
    report = await found(settings)
    assert report["permissions"].mend == f"chmod 600 {settings.data}/tandem.db"


class Homeserver:
    """Answers as a homeserver whose clock is off by `ahead`, or with `body`."""

    def __init__(self) -> None:
        self.url = ""
        self.ahead = timedelta()
        self.body = '{"versions": ["v1.1", "v1.15"]}'

    async def answer(self, _request: web.Request) -> web.Response:
        date = format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)  # noqa: TID251  # its own clock
        return web.Response(text=self.body, headers={"Date": date})


@pytest_asyncio.fixture
async def homeserver() -> AsyncIterator[Homeserver]:
    """A homeserver on a free port."""
    server = Homeserver()
    application = web.Application()
    application.router.add_get("/_matrix/client/versions", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_a_homeserver_that_answers_is_told_with_its_version(
    tmp_path: Path, environ: dict[str, str], homeserver: Homeserver
) -> None:
    settings = configured(tmp_path, environ, homeserver.url)
    await made(settings)
    report = await found(settings)
    assert report["homeserver"].said == f"{homeserver.url} answers; Matrix up to v1.15"
    assert report["clock"].rating is OK
    assert (report["token"].rating, report["token"].said) == (WARN, "the bot has never signed in")


async def test_a_homeserver_with_another_time_fails(
    tmp_path: Path, environ: dict[str, str], homeserver: Homeserver
) -> None:
    homeserver.ahead = timedelta(minutes=10)
    report = await found(configured(tmp_path, environ, homeserver.url))
    assert report["clock"].rating is FAIL
    assert "behind the homeserver" in report["clock"].said


@pytest.mark.parametrize("body", ["<html>It works!</html>", "[]", "{}"])
async def test_what_is_no_homeserver_is_told(
    tmp_path: Path, environ: dict[str, str], homeserver: Homeserver, body: str
) -> None:
    homeserver.body = body
    report = await found(configured(tmp_path, environ, homeserver.url))
    assert report["homeserver"].rating is FAIL
    assert "token" not in report


async def test_a_homeserver_that_is_down_fails(tmp_path: Path, environ: dict[str, str]) -> None:
    report = await found(configured(tmp_path, environ, "http://127.0.0.1:1"))
    assert report["homeserver"].rating is FAIL
    assert "is it up" in (report["homeserver"].mend or "")
