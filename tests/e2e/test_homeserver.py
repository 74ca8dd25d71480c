"""The embedded homeserver: private, durable, and gone when its parent is gone."""

import asyncio
import signal
import stat
import sys
from pathlib import Path

import aiohttp
import pytest

from bot.demo import synapse_config
from bot.demo.homeserver import EmbeddedHomeserver

START_AND_HANG = """
import asyncio, pathlib, sys
from bot.demo.homeserver import EmbeddedHomeserver

async def main():
    server = await EmbeddedHomeserver.start(pathlib.Path(sys.argv[1]))
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def login(server: EmbeddedHomeserver, user: str, password: str) -> int:
    """The HTTP status of a login by password."""
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
    }
    url = f"{server.url}/_matrix/client/v3/login"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        return answer.status


async def test_an_account_is_registered_once_and_keeps_its_password(homeserver: EmbeddedHomeserver) -> None:
    user = await homeserver.register("paul", "one long password")
    assert user == f"@paul:{homeserver.server_name}"
    assert await homeserver.register("paul", "another password") == user
    assert await login(homeserver, user, "one long password") == 200
    assert await login(homeserver, user, "another password") == 403


async def test_strangers_cannot_register(homeserver: EmbeddedHomeserver) -> None:
    url = f"{homeserver.url}/_matrix/client/v3/register"
    body = {"username": "eve", "password": "let me in", "auth": {"type": "m.login.dummy"}}
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        assert answer.status == 403


async def test_it_survives_its_parent_s_sudden_death_with_all_it_knew(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START_AND_HANG, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(60):
        assert await parent.stdout.readline() == b"started\n"
    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    # The orphan holds the folder's lock for as long as it lives: a start that succeeds has seen its end.
    server = await EmbeddedHomeserver.start(folder)
    try:
        user = await server.register("anna", "a long password")
        url = server.url
    finally:
        await server.stop()

    again = await EmbeddedHomeserver.start(folder)
    try:
        assert again.url == url
        assert await login(again, user, "a long password") == 200
        for path in [folder, *folder.rglob("*")]:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, f"{path} is open to others"
    finally:
        await again.stop()


def test_a_folder_of_another_server_name_is_refused(tmp_path: Path) -> None:
    synapse_config.prepare(tmp_path, "one.localhost", limits=True)
    with pytest.raises(synapse_config.WrongServerNameError, match="one.localhost, not two.localhost"):
        synapse_config.prepare(tmp_path, "two.localhost", limits=True)
