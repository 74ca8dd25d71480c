"""`make attack` as it is run: every attack against the running bot has to fail."""

import asyncio
import sys

LONGEST = 900.0  # seconds, on a machine that does much else


async def test_every_attack_fails(environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.attack",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    async with asyncio.timeout(LONGEST):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
