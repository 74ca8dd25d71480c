"""The ticker: each job in its own transaction, at its interval, whatever happens to another."""

import asyncio
from datetime import timedelta

import pytest

from bot.kernel import clock
from bot.kernel.card import card
from bot.kernel.language import t
from bot.kernel.vocabulary import Capability, Post, Role, Tick
from bot.runtime.ticker import Ticker
from storage.transaction import Database
from tests.story import Story
from tests.toys import toys


async def test_what_a_job_says_is_delivered_once(database: Database) -> None:
    story = await Story.begin(database, [toys])
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna])
    await anna.says(ops, "!toy small Ball to=ops")
    await story.pass_time(minutes=3)
    assert story.said(ops)[1:] == ["T-1 is wound up"]


async def test_a_job_that_fails_changes_nothing_and_ends_no_other(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = Capability("jobs")
    ran = []

    @jobs.job(every=timedelta(seconds=1))
    async def fail(tick: Tick) -> list[Post]:
        await tick.tx.notices.claim("half done", tick.now, timedelta(days=1))
        raise ZeroDivisionError("a secret")

    @jobs.job(every=timedelta(seconds=1))
    async def go_on(tick: Tick) -> list[Post]:
        ran.append(await tick.tx.notices.claim("half done", tick.now, timedelta(days=1)))
        return []

    ticker = Ticker(database, [jobs], clock.now)
    await ticker.run_jobs()
    assert ran == [True]
    logged = capsys.readouterr().out
    assert "jobs.fail" in logged
    assert "a secret" not in logged


async def test_each_job_is_run_at_once_when_it_starts(database: Database) -> None:
    jobs = Capability("jobs")
    done = asyncio.Event()
    owed = asyncio.Event()

    @jobs.job(every=timedelta(hours=1))
    async def speak(tick: Tick) -> list[Post]:
        done.set()
        return [Post(card(t("T-1 is wound up")), room_id="!ops:agency.example")]

    ticker = Ticker(database, [jobs], clock.now, on_owed=owed.set)
    ticker.start()
    await asyncio.wait_for(owed.wait(), 10)
    await ticker.stop()
    assert done.is_set()


async def test_a_job_that_runs_when_the_bot_stops_has_ended_before_the_database_closes(
    database: Database,
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()
    jobs = Capability("jobs")

    @jobs.job(every=timedelta(seconds=1))
    async def lasts(tick: Tick) -> list[Post]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await tick.tx.connection.rollback()
            ended.set()
        return []

    ticker = Ticker(database, [jobs], clock.now)
    ticker.start()
    await began.wait()
    await ticker.stop()
    assert ended.is_set()
