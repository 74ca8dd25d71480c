"""What the end-to-end tests share: one homeserver for the whole run."""

from collections.abc import AsyncIterator

import pytest

from bot.demo.homeserver import EmbeddedHomeserver


@pytest.fixture(scope="session")
async def homeserver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedHomeserver]:
    """A Synapse without rate limits; each test registers accounts of its own there."""
    server = await EmbeddedHomeserver.start(tmp_path_factory.mktemp("homeserver"), limits=False)
    yield server
    await server.stop()
