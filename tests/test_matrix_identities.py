"""Canonical JSON, signatures, cross-signing and secret storage, by the specification's vectors."""

import asyncio
from typing import Any

import pytest

from bot.kernel import clock
from bot.matrix.canonical import SigningKey, canonical, decode64, encode64, is_key, is_signed
from bot.matrix.cross_signing import USAGES, OwnIdentity
from bot.matrix.devices import Devices
from bot.matrix.identities import MEGOLM, OLM, merge, read_identity
from bot.matrix.rooms import Rooms
from bot.matrix.secret_storage import read_seeds, recovery_key, recovery_text, seal, unseal
from bot.matrix.trust import EnrolledCircle
from bot.matrix.wire import Malformed
from tests.fuzz.rehearsal import Rehearsal
from tests.fuzz.world import Canned

ANNA = "@anna:example.org"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, "{}"),
        ({"one": 1, "two": "Two"}, '{"one":1,"two":"Two"}'),
        ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
        ({"a": "日本語"}, '{"a":"日本語"}'),
        ({"本": 2, "日": 1}, '{"日":1,"本":2}'),
        ({"a": "\u65e5"}, '{"a":"日"}'),
        ({"a": None}, '{"a":null}'),
        ({"a": -0, "b": 10_000_000_000}, '{"a":0,"b":10000000000}'),
    ],
)
def test_canonical_json_is_as_the_specification_shows_it(value: Any, expected: str) -> None:
    """The examples of Matrix specification, Appendices, "Canonical JSON"."""
    assert canonical(value).decode() == expected


@pytest.mark.parametrize("value", [1.5, float("nan"), 2**53, {"a": [{"b": 0.1}]}])
def test_numbers_without_a_canonical_form_are_refused(value: Any) -> None:
    """Floats and integers beyond 2**53 - 1."""
    with pytest.raises(Malformed):
        canonical(value)


def test_a_signature_is_as_the_specification_shows_it() -> None:
    """Matrix specification, Appendices, "Cryptographic Test Vectors"."""
    key = SigningKey(decode64("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"))
    assert key.public == "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"
    assert key.sign(canonical({})) == (
        "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
    )
    assert key.sign(canonical({"one": 1, "two": "Two"})) == (
        "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
    )


@pytest.mark.parametrize(
    "key", ["", "AAAA", "!!", "A" * 44, "A" * 43 + "=", "A" * 42 + "B", None, 5, "é" * 43]
)
def test_only_32_bytes_in_their_one_form_are_a_key(key: Any) -> None:
    """So that one key cannot go by two names."""
    assert not is_key(key)


def an_answer() -> tuple[OwnIdentity, dict[str, Any]]:
    """Anna's identity, and an answer of /keys/query that shows it with one signed device."""
    own = OwnIdentity.of(ANNA, clock.random_bytes(96))
    device = SigningKey(clock.random_bytes(32))
    keys: dict[str, Any] = {
        "user_id": ANNA,
        "device_id": "LAPTOP",
        "algorithms": [OLM, MEGOLM],
        "keys": {"ed25519:LAPTOP": device.public, "curve25519:LAPTOP": encode64(clock.random_bytes(32))},
    }
    device.add_signature(keys, ANNA)
    signatures = keys["signatures"][ANNA]
    signatures["ed25519:LAPTOP"] = signatures.pop(f"ed25519:{device.public}")
    own.self_signing.add_signature(keys, ANNA)
    answer = {
        "master_keys": {ANNA: own.key_object("master")},
        "self_signing_keys": {ANNA: own.key_object("self_signing")},
        "device_keys": {ANNA: {"LAPTOP": keys}},
    }
    return own, answer


def test_a_whole_chain_is_believed() -> None:
    """Master key, self-signing key, device."""
    own, answer = an_answer()
    identity = read_identity(ANNA, answer)
    assert identity.master == own.master.public
    assert identity.devices["LAPTOP"].signed
    assert is_signed(own.key_object("user_signing"), ANNA, own.master.public)


def test_a_chain_with_a_wrong_link_is_not() -> None:
    """Each link broken by itself."""
    other = OwnIdentity.of(ANNA, clock.random_bytes(96))

    def signed(answer: dict[str, Any]) -> bool:
        identity = read_identity(ANNA, answer)
        return "LAPTOP" in identity.devices and identity.devices["LAPTOP"].signed

    own, answer = an_answer()
    assert signed(answer)
    for name, value in (
        ("master_keys", {}),
        ("master_keys", {ANNA: other.key_object("master")}),
        ("master_keys", {ANNA: own.key_object("self_signing")}),
        ("master_keys", {ANNA: own.key_object("master") | {"user_id": "@eve:example.org"}}),
        ("self_signing_keys", {}),
        ("self_signing_keys", None),
        ("self_signing_keys", {ANNA: other.key_object("self_signing")}),
        ("self_signing_keys", {ANNA: own.key_object("user_signing")}),
        ("self_signing_keys", {ANNA: own.key_object("self_signing") | {"signatures": None}}),
    ):
        assert not signed(answer | {name: value}), (name, value)
    device = answer["device_keys"][ANNA]["LAPTOP"]
    changes: list[dict[str, Any]] = [
        {"user_id": "@eve:example.org"},
        {"device_id": "PHONE"},
        {"algorithms": []},
        {"algorithms": 7},
        {"keys": {}},
        {"keys": device["keys"] | {"curve25519:LAPTOP": encode64(bytes(32))}},
        {"signatures": None},
        {"signatures": {ANNA: None}},
    ]
    for change in changes:
        assert not signed(answer | {"device_keys": {ANNA: {"LAPTOP": device | change}}}), change


def test_a_bad_device_hides_no_other() -> None:
    """Whatever stands beside it."""
    _, answer = an_answer()
    odd: dict[str, Any] = {
        "A": None,
        "B": [],
        "C": {"keys": {"ed25519:C": "AAAA"}},
        "": {},
        "D": {"unsigned": 7},
    }
    answer["device_keys"][ANNA] |= odd
    assert list(read_identity(ANNA, answer).devices) == ["LAPTOP"]


def test_a_device_that_changes_its_keys_is_not_believed_again() -> None:
    """S18: the same id with other keys, though both are signed."""
    own, answer = an_answer()
    before = read_identity(ANNA, answer)
    device = SigningKey(clock.random_bytes(32))
    keys = {
        name: value for name, value in answer["device_keys"][ANNA]["LAPTOP"].items() if name != "signatures"
    }
    keys["keys"] = keys["keys"] | {"ed25519:LAPTOP": device.public}
    device.add_signature(keys, ANNA)
    keys["signatures"][ANNA] = {"ed25519:LAPTOP": keys["signatures"][ANNA][f"ed25519:{device.public}"]}
    own.self_signing.add_signature(keys, ANNA)
    after = read_identity(ANNA, answer | {"device_keys": {ANNA: {"LAPTOP": keys}}})
    assert after.devices["LAPTOP"].signed
    merged = merge(before, after).devices["LAPTOP"]
    assert (merged.ed25519, merged.signed) == (before.devices["LAPTOP"].ed25519, False)


RECOVERY = "EsTj 3yST y93F SLpB jJsz eAXc 2XzA ygD3 w69H fGaN TKBj jXEd"


def test_a_recovery_key_is_read_as_other_clients_write_it() -> None:
    """The key and its check value as in the tests of other clients; ours must agree with them."""
    key = recovery_key(RECOVERY)
    assert recovery_text(key) == RECOVERY
    check = seal(key, "", bytes(32), decode64("xv5b6/p3ExEw++wTyfSHEg"))
    assert check["mac"] == "ujBBbXahnTAMkmPUX2/0+VTfUh63pGyVRuBcDMgmJC8"


def test_a_mistyped_recovery_key_is_refused() -> None:
    """The parity byte finds it."""
    for text in (RECOVERY.replace("3yST", "3ySU"), RECOVERY[:-4], "", "0OIl"):
        with pytest.raises(Malformed):
            recovery_key(text)


def test_a_sealed_secret_opens_only_under_its_key_and_name() -> None:
    """A changed byte, another name or another key are found before anything is decrypted."""
    key = clock.random_bytes(32)
    sealed = seal(key, "m.cross_signing.master", b"seed", clock.random_bytes(16))
    assert unseal(key, "m.cross_signing.master", sealed) == b"seed"
    with pytest.raises(Malformed):
        unseal(key, "m.cross_signing.self_signing", sealed)
    with pytest.raises(Malformed):
        unseal(clock.random_bytes(32), "m.cross_signing.master", sealed)
    with pytest.raises(Malformed):
        unseal(key, "m.cross_signing.master", sealed | {"ciphertext": "AAAA"})


@pytest.mark.parametrize("secret", [b"\xff" * 32, b"AAAA", b"!"])
async def test_a_secret_that_is_no_seed_is_malformed(secret: bytes) -> None:
    """Sealed with the right key, but by somebody who put something else there."""
    key = bytes(32)
    stored = {
        name: {"encrypted": {"k": seal(key, name, secret, bytes(16))}}
        for name in (f"m.cross_signing.{usage}" for usage in USAGES)
    }
    server = Canned()
    server.answers = {"default_key": {"key": "k"}, **stored}
    with pytest.raises(Malformed):
        await read_seeds(server, ANNA, recovery_text(key))
    await server.close()


async def test_of_people_whose_devices_changed_nothing_is_remembered_but_in_the_database() -> None:
    """A homeserver can name as many as it likes, in each round others."""
    made = Rehearsal()
    await made.create()
    lists = Devices(made, Canned(), EnrolledCircle(), Rooms(ANNA), asyncio.Lock())
    async with made.transaction() as tx:
        await lists.mark_changed(tx, [f"@{number}:example.org" for number in range(1000)])
    assert not lists._changes
    await made.close()
