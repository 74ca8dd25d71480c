"""The embedded homeserver: a Synapse on 127.0.0.1 that lives and dies with its starter."""

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import os
import sys
from pathlib import Path
from typing import Self

import aiohttp

from bot.demo import synapse_config
from bot.kernel import clock

READY_SECONDS = 90.0
STOP_SECONDS = 10.0
PREDECESSOR_SECONDS = 15.0
POLL_SECONDS = 0.05
CALL_TIMEOUT = aiohttp.ClientTimeout(total=30)
LOG_TAIL_LINES = 15


class HomeserverError(Exception):
    """The embedded homeserver did not start, or refused; the text says why and what to do."""


class EmbeddedHomeserver:
    """Synapse on 127.0.0.1 with SQLite in a folder of its own, run as a child process."""

    def __init__(self, config: synapse_config.Config, child: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self.url = config.url
        self.server_name = config.server_name
        self._config = config
        self._child = child

    @property
    def folder(self) -> Path:
        """Where Synapse keeps everything: its database is `homeserver.db`."""
        return self._config.folder

    @property
    def pid(self) -> int:
        """The process id of Synapse."""
        return self._child.pid

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        server_name: str = "tandem.localhost",
        limits: bool = True,
        plain_rooms: bool = False,
    ) -> Self:
        """Start the homeserver kept in `folder`, which is created if missing, and wait until it answers.

        `limits=False` takes the rate limits off; with `plain_rooms` a new room is encrypted only if its maker
        asks for it. Raises `HomeserverError` if the folder is in use or belongs to another server name, or if
        Synapse does not answer in time.
        """
        lock = await _lock(folder)
        try:
            config = synapse_config.prepare(folder, server_name, limits=limits, plain_rooms=plain_rooms)
            child = await _spawn(config, lock)
        except synapse_config.WrongServerNameError as error:
            raise HomeserverError(str(error)) from None
        finally:
            os.close(lock)  # the child keeps its own hold on it until it ends
        server = cls(config, child)
        try:
            await server._until_ready()
        except BaseException:
            await server.stop()
            raise
        return server

    async def register(self, localpart: str, password: str) -> str:
        """Create the account, unless it exists already (its password then stays); returns its user id."""
        url = f"{self.url}/_synapse/admin/v1/register"
        async with aiohttp.ClientSession(timeout=CALL_TIMEOUT) as http:
            async with http.get(url) as answer:
                nonce = (await answer.json())["nonce"]
            signed = "\0".join((nonce, localpart, password, "notadmin")).encode()
            # SHA-1 is what Synapse's interface asks for; as an HMAC it still holds.
            mac = hmac.new(self._config.registration_secret.encode(), signed, hashlib.sha1).hexdigest()
            account = {"nonce": nonce, "username": localpart, "password": password, "mac": mac}
            async with http.post(url, json=account | {"admin": False}) as answer:
                body = await answer.json()
        if answer.status != 200 and body.get("errcode") != "M_USER_IN_USE":
            raise HomeserverError(f"The homeserver did not create {localpart}: {body.get('error', body)}")
        return f"@{localpart}:{self.server_name}"

    async def stop(self) -> None:
        """Stop Synapse and wait until it is gone. Stopping twice is fine."""
        if self._child.stdin is not None:
            self._child.stdin.close()  # the sign to leave; see synapse_child
        try:
            await asyncio.wait_for(self._child.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def _until_ready(self) -> None:
        """Ask until Synapse answers; an error, its log as a note, if it ends or takes too long."""
        deadline = clock.monotonic() + READY_SECONDS
        async with aiohttp.ClientSession(timeout=CALL_TIMEOUT) as http:
            while self._child.returncode is None and clock.monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(f"{self.url}/_matrix/client/versions") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(POLL_SECONDS)
        how = "did not answer in time" if self._child.returncode is None else "ended at once"
        error = HomeserverError(f"the homeserver {how}; the end of {self._config.log} says why")
        error.add_note(self._log_tail())
        raise error

    def _log_tail(self) -> str:
        lines = self._config.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


async def _lock(folder: Path) -> int:
    """Make the folder and take its lock, waiting for a predecessor about to leave; returns the open file."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = clock.monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > deadline:
                os.close(lock)
                raise HomeserverError(
                    f"Another Tandem runs the homeserver in {folder}: stop it, or choose another data folder."
                ) from None
            await asyncio.sleep(POLL_SECONDS)
        else:
            return lock


async def _spawn(config: synapse_config.Config, lock: int) -> asyncio.subprocess.Process:
    log = os.open(config.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.demo.synapse_child",
            str(config.file),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            # A Ctrl-C at the keyboard is for the parent, which then stops this child in order.
            start_new_session=True,
        )
    finally:
        os.close(log)
