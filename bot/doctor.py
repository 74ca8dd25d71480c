"""The doctor behind `tandem check`: what an operator should know; it looks, and changes nothing."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bot.alone import is_taken
from bot.config import Settings
from bot.demo.synapse_config import kept_url
from bot.kernel import clock
from bot.kernel.vocabulary import Role
from bot.matrix.checkup import Checkup, NeverSignedIn, look
from bot.matrix.errors import MatrixError, SignedOut
from bot.matrix.wire import skew_by
from bot.toml_file import ConfigError
from storage.encryption import WrongMasterKey, data_keys
from storage.migrations import revisions
from storage.transaction import Database

GIB = 1 << 30
LATELY = timedelta(days=1)
LITTLE_DISK, TOO_LITTLE_DISK = GIB, GIB // 8
SKEW, TOO_MUCH_SKEW = timedelta(seconds=5), timedelta(minutes=1)  # the Date header is cut to seconds
FEW_KEYS = 10  # one-time keys; the bot keeps about 50 on the homeserver
TIMEOUT = aiohttp.ClientTimeout(total=10)
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Rating(StrEnum):
    """How bad it is: `warn` works today, `fail` does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `mend` is what to do, None where there is nothing to do."""

    name: str
    rating: Rating
    said: str
    mend: str | None = None


def ok(name: str, said: str) -> Finding:
    """All is well."""
    return Finding(name, Rating.OK, said)


def warn(name: str, said: str, mend: str) -> Finding:
    """It works, and should be looked at."""
    return Finding(name, Rating.WARN, said, mend)


def fail(name: str, said: str, mend: str) -> Finding:
    """It does not work like this."""
    return Finding(name, Rating.FAIL, said, mend)


# Rules: what is found, rated


def rated_skew(skew: timedelta) -> Finding:
    """Our clock less the homeserver's."""
    said = (
        f"{abs(skew).total_seconds():.0f} s {'ahead of' if skew > timedelta() else 'behind'} the homeserver"
    )
    if abs(skew) < SKEW:
        return ok("clock", "agrees with the homeserver's")
    mend = "switch on time synchronisation on both machines (timedatectl set-ntp true)"
    return (warn if abs(skew) < TOO_MUCH_SKEW else fail)("clock", said, mend)


def rated_disk(free: int) -> Finding:
    """Bytes left where the data folder is."""
    said = f"{free / GIB:.1f} GiB free"
    if free >= LITTLE_DISK:
        return ok("disk", said)
    return (warn if free >= TOO_LITTLE_DISK else fail)(
        "disk", said, "free some space, or move the data folder"
    )


def rated_revision(found: str | None, known: list[str]) -> Finding:
    """The database's revision, against those that this release knows."""
    if found == known[-1]:
        return ok("database", f"at revision {found}, the newest")
    if found is None:
        return ok("database", "not made yet; the first start makes it")
    if found in known:
        return warn(
            "database", f"at revision {found}, behind {known[-1]}", "tandem db upgrade, or start the bot"
        )
    return fail("database", f"at revision {found}, which this release does not know", "run the newer release")


def rated_admins(named: int, enrolled: int, *, embedded: bool) -> Finding:
    """How many admins the configuration names, and how many the database knows."""
    if enrolled:
        return ok("admins", f"{enrolled} enrolled")
    if named:
        return ok("admins", f"{named} named; the next start enrols them")
    if embedded:
        said, mend = "none yet; whoever starts the console becomes one", "tandem run --console, or name one"
        return warn("admins", said, f"{mend}: {_NAMED_SO}")
    return fail("admins", "none; nobody can command the bot", f"name one: {_NAMED_SO}")


def rated_identities(changed: Sequence[str]) -> Finding:
    """Members whose identity is not the pinned one."""
    if not changed:
        return ok("identities", "each member that was seen has the identity that is pinned")
    mend = f"telephone them; then, in a room, two people: !member verify {changed[0]}"
    return warn("identities", f"not the pinned one: {', '.join(changed)}", mend)


def rated_unread(count: int) -> Finding:
    """Events of the last day whose key never came."""
    if not count:
        return ok("undecryptable", "nothing in the last day")
    mend = "their senders were asked to resend; if it goes on, they sign in anew in their client"
    return warn("undecryptable", f"{count} in the last day", mend)


_NAMED_SO = 'admins = ["@sam:hq.example"] in [members]'


def rated_mode(path: Path, mode: int) -> Finding | None:
    """A file or folder that others can enter, read or change; None if they can not."""
    if mode & 0o077 == 0:
        return None
    wanted = "700" if path.is_dir() else "600"
    return fail("permissions", f"others can read {path} ({mode & 0o777:o})", f"chmod {wanted} {path}")


def rated_account(seen: Checkup) -> Iterator[Finding]:
    """What the homeserver shows of the bot's account."""
    yield ok("token", f"signed in as {seen.user_id}, device {seen.device_id}")
    if seen.own_chain:
        yield ok(
            "identity", f"device, self-signing and master key sign one another; fingerprint {_groups(seen)}"
        )
    else:
        said = "the homeserver shows another identity or device than ours; the bot sends nothing"
        yield fail(
            "identity", said, "find out who has the account's password; see docs/operators.md, Identity"
        )
    if seen.recovery_key:
        yield ok("recovery key", "made: the identity lies in secret storage, sealed by it")
    else:
        said = "none was made: if the database is lost, so is the bot's identity"
        yield warn("recovery key", said, "stop the bot, then: tandem identity recovery-key")
    if seen.foreign_devices:
        said = f"nobody vouches for {', '.join(seen.foreign_devices)}, so the bot sends nothing"
        yield fail("devices", said, "sign them out, and change the account's password if they are not yours")
    if seen.one_time_keys >= FEW_KEYS:
        yield ok("one-time keys", f"{seen.one_time_keys} on the homeserver")
    else:
        said = f"{seen.one_time_keys} on the homeserver; new devices may not reach the bot"
        yield warn("one-time keys", said, "start the bot: it makes new ones")
    if seen.fallback_key:
        yield ok("fallback key", "on the homeserver, unused")
    else:
        yield warn("fallback key", "none unused on the homeserver", "start the bot: it makes a new one")


def _groups(seen: Checkup) -> str:
    """The fingerprint as it is read out, four by four."""
    key = seen.fingerprint or ""
    return " ".join(key[at : at + 4] for at in range(0, len(key), 4))


# The examination


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which things depend on one another."""
    examination = Examination(settings)
    database = Database(settings.database_url(), clock.random_bytes)
    try:
        await examination.run(database)
    finally:
        await database.close()
    return examination.findings


class Examination:
    """One look at everything; each step says whether what builds on it can be looked at."""

    def __init__(self, settings: Settings) -> None:
        self.findings: list[Finding] = [ok("configuration", f"{settings.file.path} fits")]
        self._settings = settings

    async def run(self, database: Database) -> None:
        """Look."""
        self._secrets()
        self._folder()
        is_open = await self._database(database)
        await self._admins(database if is_open else None)
        if is_open:
            await self._members(database)
        url = await self._homeserver()
        if is_open and url:
            await self._account(database, url)

    def _say(self, *findings: Finding) -> None:
        self.findings += findings

    def _secrets(self) -> None:
        wanted: dict[str, Callable[[], object]] = {"master key": self._settings.master_key}
        if not self._settings.is_embedded:
            wanted["password"] = self._settings.password
        for name, read in wanted.items():
            try:
                read()
            except ConfigError as error:
                self._say(fail(name, str(error), "see docs/operators.md, Secrets"))
            else:
                self._say(ok(name, "there, and nobody else can read it"))

    def _folder(self) -> None:
        folder = self._settings.data
        if folder.is_dir():
            # What lies in the folder itself: a closed folder protects what lies deeper.
            each = [folder, *sorted(each for each in folder.iterdir() if not each.is_symlink())]
            open_ = [finding for path in each if (finding := rated_mode(path, path.stat().st_mode))]
            self._say(*(open_ or [ok("permissions", f"only the bot's user can enter {folder}")]))
        else:
            self._say(ok("data folder", f"there is no {folder} yet; the first start makes it"))
            folder = next(each for each in folder.parents if each.is_dir())
        self._say(rated_disk(shutil.disk_usage(folder).free))

    async def _database(self, database: Database) -> bool:
        """Whether it is there and open."""
        try:
            found = None if database.is_missing() else await database.revision()
            self._say(rated_revision(found, revisions()))
            return found == revisions()[-1] and await self._unlock(database)
        except (SQLAlchemyError, OSError) as error:
            kind = type(getattr(error, "orig", None) or error).__name__
            self._say(fail("database", f"does not answer ({kind})", "is it up, and is [database] url right?"))
        return False

    async def _unlock(self, database: Database) -> bool:
        async with database.engine.begin() as connection:
            keys = (await connection.execute(select(func.count()).select_from(data_keys))).scalar_one()
        if not keys:  # to unlock would make one
            self._say(ok("encryption", "no data key yet; the first start makes it"))
            return False
        try:
            await database.unlock(self._settings.master_key(), clock.now())
        except WrongMasterKey as error:
            self._say(fail("encryption", str(error), "give the key with which the database was made"))
        except ConfigError:
            pass  # told among the secrets
        else:
            self._say(ok("encryption", "the master key opens the database"))
            return True
        return False

    async def _admins(self, database: Database | None) -> None:
        enrolled = 0
        if database is not None:
            async with database.transaction() as tx:
                enrolled = len(await tx.members.holders(Role.ADMIN.value, clock.now()))
        named = len(self._settings.members.admins)
        self._say(rated_admins(named, enrolled, embedded=self._settings.is_embedded))

    async def _members(self, database: Database) -> None:
        """Whose identity has changed, and what could not be read of late."""
        async with database.transaction() as tx:
            changed = await tx.crypto.violations()
            unread = await tx.audit.count("undecryptable", clock.now() - LATELY)
        self._say(rated_identities(changed), rated_unread(unread))

    async def _homeserver(self) -> str | None:
        """Where it is, if it answers."""
        settings, url = self._settings, self._settings.matrix.homeserver
        if settings.is_embedded:
            url = kept_url(settings.data / "homeserver") or ""
            if not is_taken(settings.data):
                self._say(ok("homeserver", "the embedded one; it runs with the bot, which is not running"))
                return None
        try:
            newest, skew = await _asked(url)
        except (aiohttp.ClientError, OSError, ValueError, TypeError, LookupError) as error:
            said = f"{url} does not answer as a homeserver ({type(error).__name__})"
            self._say(fail("homeserver", said, "is it up, and is [matrix] homeserver right?"))
            return None
        self._say(ok("homeserver", f"{url} answers; Matrix up to {newest}"))
        if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in LOOPBACK:
            self._say(warn("transport", "the way there is not encrypted (http)", "give its https address"))
        self._say(*([rated_skew(skew)] if skew is not None else []))
        return url

    async def _account(self, database: Database, url: str) -> None:
        try:
            self._say(*rated_account(await look(database, url)))
        except NeverSignedIn:
            self._say(warn("token", "the bot has never signed in", "start it once: tandem run"))
        except SignedOut:
            mend = "tandem account renew, then start the bot"
            self._say(fail("token", "the homeserver no longer knows the bot's sign-in", mend))
        except MatrixError as error:
            self._say(fail("token", str(error), "look at the homeserver's log"))


async def _asked(url: str) -> tuple[str, timedelta | None]:
    """The newest version of Matrix that the homeserver speaks, and our clock less its."""
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as http,
        http.get(f"{url}/_matrix/client/versions") as answer,
    ):
        newest = str((await answer.json(content_type=None))["versions"][-1])
        return newest, skew_by(answer.headers.get("Date"), clock.now())
