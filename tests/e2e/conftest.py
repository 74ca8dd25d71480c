"""What the end-to-end tests share: one homeserver for the whole run."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.demo.homeserver import EmbeddedHomeserver
from tests.e2e.siege import Siege


@pytest.fixture(scope="session")
async def homeserver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedHomeserver]:
    """A Synapse without rate limits, with plain rooms where asked for; each test registers its accounts."""
    folder = tmp_path_factory.mktemp("homeserver")
    server = await EmbeddedHomeserver.start(folder, limits=False, plain_rooms=True)
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For processes that tests start: compiled code is kept between them, whatever this machine's habit."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}


@pytest.fixture
async def siege(homeserver: EmbeddedHomeserver, tmp_path: Path) -> AsyncIterator[Siege]:
    """The bot and Anna, in an encrypted room."""
    siege = await Siege.begin(homeserver, tmp_path)
    yield siege
    await siege.end()
