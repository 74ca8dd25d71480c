"""The ticker: runs each job at its interval; rows say what is due, the metronome remembers nothing."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.kernel import clock
from bot.kernel.vocabulary import Capability, Job, Tick
from bot.runtime.failure import described
from bot.runtime.parser import Table
from bot.runtime.posting import Poster
from storage.transaction import Database

log = structlog.get_logger()


class Ticker:
    """Runs the jobs of all capabilities; `on_owed` is called when one had something to say."""

    def __init__(
        self,
        database: Database,
        capabilities: Iterable[Capability],
        now: Callable[[], datetime] = clock.now,
        token: Callable[[], str] = clock.token,
        on_owed: Callable[[], None] = lambda: None,
    ) -> None:
        known = tuple(capabilities)
        self.jobs: tuple[Job, ...] = tuple(job for each in known for job in each.jobs)
        self._spelled = Table(command for each in known for command in each.commands).spelled
        self._database = database
        self._now = now
        self._token = token
        self._on_owed = on_owed
        self._scheduler: AsyncIOScheduler | None = None
        self._stopped = False
        self._running: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Run every job now, and then at its interval."""
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for job in self.jobs:
            trigger = IntervalTrigger(seconds=int(job.every.total_seconds()) or 1, timezone="UTC")
            self._scheduler.add_job(self._turn, trigger, [job], id=job.name, next_run_time=self._now())
        self._scheduler.start()

    async def stop(self) -> None:
        """Start no further job; one that runs is cancelled, its transaction rolled back, and waited for.

        The database may be closed then: a job that was still in it would wait for it for ever.
        """
        self._stopped = True
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        if self._running:
            await asyncio.wait(self._running)

    async def _turn(self, job: Job) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # the scheduler runs it in one
        self._running.add(task)
        try:
            await self.run_job(job)
        finally:
            self._running.discard(task)

    async def run_jobs(self, now: datetime | None = None) -> None:
        """Run every job once, at `now`."""
        for job in self.jobs:
            await self.run_job(job, now)

    async def run_job(self, job: Job, now: datetime | None = None) -> None:
        """Run one job in its own transaction; an error is logged, and the next turn tries again."""
        now = now or self._now()
        try:
            async with self._database.transaction() as tx:
                said = await job.handler(Tick(tx, now))
                await Poster(tx, now, self._token, self._spelled).say(said)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            return  # in order: the scheduler would log it as a failure
        except Exception as error:  # the rim: one job's error must not end the others
            log.error("job.failed", job=job.name, **described(error))
            return
        if said:
            self._on_owed()
