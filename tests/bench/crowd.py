"""A room full of cross-signed devices, made by plain HTTP."""

import asyncio
from dataclasses import dataclass

from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from tests.e2e.hostile import Hostile

PASSWORD = "correct horse"
MOST_DEVICES = 10  # of one person
LEAST_PEOPLE = 5
ONE_TIME_KEYS = 20  # enough for every round, the bot's and the floor's
AT_ONCE = 8


@dataclass
class Person:
    """One member with up to MOST_DEVICES devices, all signed by the same identity."""

    user_id: str
    devices: list[Hostile]


async def make_crowd(homeserver: EmbeddedHomeserver, devices: int) -> list[Person]:
    """People with so many devices in all."""
    slots = asyncio.Semaphore(AT_ONCE)
    tag = clock.token(6).lower().replace("_", ".")

    async def one(number: int, count: int) -> Person:
        async with slots:
            return await _person(homeserver, f"crowd-{tag}-{number}", count)

    each = min(MOST_DEVICES, max(1, devices // LEAST_PEOPLE))
    counts = [min(each, devices - start) for start in range(0, devices, each)]
    return list(await asyncio.gather(*(one(number, count) for number, count in enumerate(counts))))


async def _person(homeserver: EmbeddedHomeserver, name: str, count: int) -> Person:
    person = Person(await homeserver.register(name, PASSWORD), [])
    for _ in range(count):
        await add_device(homeserver, person)
    return person


async def add_device(homeserver: EmbeddedHomeserver, person: Person) -> None:
    """One more device, signed like the others."""
    first = person.devices[0] if person.devices else None
    device = await Hostile.open(homeserver.url, person.user_id, PASSWORD, keys=False)
    await device.upload(device.device_keys(), count=ONE_TIME_KEYS)
    if first is None:
        await device.cross_sign(PASSWORD)
    else:
        assert first.identity is not None
        keys = device.device_keys()
        first.identity.self_signing.add_signature(keys, person.user_id)
        await device.call("POST", "/keys/signatures/upload", {person.user_id: {device.device_id: keys}})
    person.devices.append(device)


async def dismiss(crowd: list[Person]) -> None:
    """End their connections."""
    for person in crowd:
        for device in person.devices:
            await device.close()
