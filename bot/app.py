"""The composition root: builds, starts and stops everything, in order. Only here are tasks started."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot import enrolment
from bot.alone import alone_in, kept_secret, make_private
from bot.config import FIRST_SIGHT, Settings
from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from bot.kernel.cancellation import heed
from bot.kernel.errors import DeliveryRefused
from bot.kernel.health import Health
from bot.matrix.account import Account
from bot.matrix.errors import MatrixError, Rejected, SendRefused, SignedOut, Unreachable
from bot.matrix.session import PATIENCE, Session
from bot.matrix.trust import EnrolledCircle
from bot.runtime.completion import completions
from bot.runtime.courier import Courier
from bot.runtime.courier import Messenger as Delivers
from bot.runtime.dispatcher import Dispatcher
from bot.runtime.dispatcher import Settings as Manners
from bot.runtime.failure import described
from bot.runtime.ticker import Ticker
from bot.sealing import seal_all, sealing
from commands import CAPABILITIES
from storage.rooms import RoomDefaults
from storage.transaction import Database

NAME = "Tandem"
PASSWORD_BYTES = 24
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
PASSING = {401, 408, 429}  # refusals that a later try may not meet

Now = Callable[[], datetime]

log = structlog.get_logger()


@dataclass
class Bot:
    """The running bot: what a console, a tour or a test needs of it. `words` complete what is typed."""

    settings: Settings
    session: Session
    homeserver: str
    words: tuple[str, ...]
    embedded: EmbeddedHomeserver | None

    @property
    def user_id(self) -> str:
        """The bot's own id."""
        return self.session.user_id


@asynccontextmanager
async def running(
    settings: Settings,
    now: Now = clock.now,
    tell: Callable[[str], None] = lambda text: None,
    *,
    limits: bool = True,
    patience: timedelta = PATIENCE,
) -> AsyncIterator[Bot]:
    """Run the bot while the body runs; a fatal error of either comes out as an ExceptionGroup.

    `now` is the bot's clock; `tell` is told of progress. `limits=False` takes the rate limits off the
    embedded homeserver. `patience` is how long an event that cannot be decrypted waits for its key.
    """
    make_private(settings.data)
    async with AsyncExitStack() as stack:
        stack.enter_context(alone_in(settings.data))
        embedded = await _start_homeserver(settings, stack, tell, limits=limits)
        database = await _open_database(settings, stack, now)
        account = await _account(settings, embedded)
        await enrolment.enrol_admins(database, settings, _server_of(account, embedded), now())
        tell("Signing the bot in …")
        session = await Session.open(database, account, EnrolledCircle(settings.members.pinning), patience)
        stack.push_async_callback(session.close)
        works = Works(settings, database, session, now)
        await stack.enter_async_context(_at_work(works))
        log.info("bot.started", user=session.user_id, device=session.device_id)
        try:
            yield Bot(settings, session, account.homeserver, works.words, embedded)
        finally:
            log.info("bot.stopping")


class Works:
    """The moving parts: what comes in is dispatched, what is owed is delivered, what is due is done."""

    def __init__(self, settings: Settings, database: Database, session: Session, now: Now) -> None:
        self._session = session
        self._now = now
        self._started_at = now()
        self._health = Health(self._started_at, None, True, None, 0, 0)
        self._arrived = asyncio.Event()
        self._arrived.set()  # what an earlier process left unhandled
        self._courier = Courier(database, Messenger(session), now)
        manners = Manners(
            session.user_id,
            NAME,
            health=lambda: self._health,
            on_owed=self._on_owed,
            pins_at_sight=settings.members.pinning == FIRST_SIGHT,
        )
        self._dispatcher = Dispatcher(database, CAPABILITIES, now, manners)
        self.ticker = Ticker(
            database, (*self._dispatcher.capabilities, sealing), now, on_owed=self._courier.wake
        )
        commands = [command for each in self._dispatcher.capabilities for command in each.commands]
        self.words = completions(commands)
        session.on_received = self._arrived.set

    def _on_owed(self) -> None:
        """A command has had its effect: it may owe messages, or have asked for a verification."""
        self._courier.wake()
        self._session.look_at_verifications()

    @property
    def loops(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs for ever, by name."""
        return {"matrix": self._session.run, "dispatcher": self._dispatch, "courier": self._courier.run}

    async def _dispatch(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._look_at_health()
            try:
                await self._dispatcher.drain()
            except BaseException:
                self._arrived.set()  # what was not handled still waits
                raise

    async def _look_at_health(self) -> None:
        """Have ready what `!status` shows: handlers are not to wait for the session."""
        seen = await self._session.health()
        self._health = Health(
            self._started_at,
            seen.last_sync_at,
            seen.own_chain_ok,
            seen.one_time_keys,
            seen.undecryptable + seen.awaited,
            len(seen.violations),
            seen.skew,
        )


@asynccontextmanager
async def _at_work(works: Works) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_keep_going(name, loop), name=name) for name, loop in works.loops.items()]
        works.ticker.start()
        try:
            yield
        finally:
            await works.ticker.stop()
            for task in tasks:
                task.cancel()


async def _keep_going(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop anew after an error that nobody foresaw; MatrixError is for an operator, and ends it."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await loop()
        except MatrixError:
            raise
        except Exception as error:  # the rim: a full disk or a lost database passes
            heed()
            log.error("loop.failed", loop=name, **described(error))
        await asyncio.sleep(pause * clock.jitter(0.5, 1.0))
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


class Messenger:
    """The session as the courier knows it: the same calls, with refusals in the courier's words."""

    def __init__(self, session: Delivers) -> None:
        self._session = session

    async def send(self, room_id: str, content: dict[str, Any], txn_id: str) -> str:
        """Send an m.room.message; its event id."""
        with _as_refusals():
            return await self._session.send(room_id, content, txn_id)

    async def upload(self, content: bytes) -> dict[str, Any]:
        """Encrypt a file and put it on the homeserver: what a message says of it."""
        with _as_refusals():
            return await self._session.upload(content)

    async def direct_room(self, user_id: str) -> str:
        """The direct room with this person."""
        with _as_refusals():
            return await self._session.direct_room(user_id)

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """The event that was sent under this transaction id."""
        with _as_refusals():
            return await self._session.find_sent(room_id, txn_id)


@contextmanager
def _as_refusals() -> Iterator[None]:
    """Matrix's errors in the courier's words."""
    try:
        yield
    except SendRefused as error:
        raise DeliveryRefused(error.reason, permanent=error.permanent) from error
    except SignedOut as error:
        raise DeliveryRefused("signed_out", permanent=False) from error
    except Rejected as error:
        raise DeliveryRefused(error.errcode, permanent=error.status not in PASSING) from error
    except Unreachable as error:
        raise DeliveryRefused("unreachable", permanent=False) from error


async def _start_homeserver(
    settings: Settings, stack: AsyncExitStack, tell: Callable[[str], None], *, limits: bool
) -> EmbeddedHomeserver | None:
    if not settings.is_embedded:
        return None
    tell("Starting the homeserver …")
    server = await EmbeddedHomeserver.start(settings.data / "homeserver", limits=limits)
    stack.push_async_callback(server.stop)
    return server


async def _open_database(settings: Settings, stack: AsyncExitStack, now: Now) -> Database:
    spoken = RoomDefaults(settings.rooms.language, settings.rooms.zone)
    database = Database(settings.database_url(), clock.random_bytes, spoken)
    stack.push_async_callback(database.close)
    await database.upgrade()
    await database.unlock(settings.master_key(), now())
    stack.push_async_callback(seal_all, database, now)
    return database


async def _account(settings: Settings, embedded: EmbeddedHomeserver | None) -> Account:
    """The bot's account; on the embedded homeserver it is made, with a password nobody needs to know."""
    matrix = settings.matrix
    if embedded is None:
        return Account(matrix.homeserver, matrix.user, settings.password(), matrix.device_name)
    password = kept_secret(settings.data / "bot-password", clock.token(PASSWORD_BYTES))
    user_id = await embedded.register(matrix.localpart, password)
    return Account(embedded.url, user_id, password, matrix.device_name)


def _server_of(account: Account, embedded: EmbeddedHomeserver | None) -> str | None:
    return embedded.server_name if embedded else account.user.partition(":")[2] or None
