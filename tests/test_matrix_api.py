"""Calls to the homeserver: what is said when there is no answer."""

import pytest

from bot.matrix.api import Homeserver
from bot.matrix.errors import Unreachable


async def test_a_homeserver_that_does_not_answer_is_named_without_any_secret() -> None:
    server = Homeserver("http://sam:hunter2@127.0.0.1:1/base?key=s3cret")
    try:
        with pytest.raises(Unreachable) as error:
            await server.call("GET", server.path("sync", since="s72"), tries=1)
    finally:
        await server.close()
    said = str(error.value)
    assert said.startswith("the homeserver http://127.0.0.1:1 does not answer (")
    assert said.endswith("); is it up?")
