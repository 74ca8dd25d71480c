"""What /keys/query says of a user, checked signature by signature; a bad object hides no other."""

from bot.matrix.canonical import is_key, is_signed
from bot.matrix.trust import Device, Identity
from bot.matrix.wire import Json, Malformed, obj, text, texts

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"
MOST_DEVICES = 200  # of one user; far more than anyone has, and a bound on what a hostile one costs us


def cross_signing_key(value: object, user_id: str, usage: str) -> str | None:
    """The one public key of a cross-signing key object, if the object is well-formed."""
    found = obj(value)
    keys = obj(found.get("keys"))
    if found.get("user_id") != user_id or usage not in texts(found.get("usage")) or len(keys) != 1:
        return None
    name, public = next(iter(keys.items()))
    return public if is_key(public) and name == f"ed25519:{public}" else None


def read_identity(user_id: str, answer: Json, voucher: tuple[str, str] | None = None) -> Identity:
    """The user's master key and devices in an answer of /keys/query.

    `voucher` is our own user id and user-signing key.
    """
    master = cross_signing_key(obj(answer.get("master_keys")).get(user_id), user_id, "master")
    raw_self_signing = obj(obj(answer.get("self_signing_keys")).get(user_id))
    self_signing = cross_signing_key(raw_self_signing, user_id, "self_signing")
    if self_signing == master or master is None or not is_signed(raw_self_signing, user_id, master):
        self_signing = None
    devices: dict[str, Device] = {}
    for device_id, raw in list(obj(obj(answer.get("device_keys")).get(user_id)).items())[:MOST_DEVICES]:
        if device_id in (master, self_signing):
            continue  # a cross-signing key posing as a device (Matrix specification, "Cross-signing")
        try:
            devices[device_id] = read_device(user_id, device_id, obj(raw), self_signing)
        except Malformed:
            continue
    raw_master = obj(obj(answer.get("master_keys")).get(user_id))
    vouched = master is not None and voucher is not None and is_signed(raw_master, *voucher)
    return Identity(user_id, master, devices, vouched)


def read_device(user_id: str, device_id: str, raw: Json, self_signing: str | None) -> Device:
    """A device from its signed keys; Malformed if it is none."""
    if raw.get("user_id") != user_id or raw.get("device_id") != device_id or not text(device_id):
        raise Malformed("another's device")
    if not {OLM, MEGOLM} <= set(texts(raw.get("algorithms"))):
        raise Malformed("a device without our algorithms")
    keys = obj(raw.get("keys"))
    ed25519, curve25519 = keys.get(f"ed25519:{device_id}"), keys.get(f"curve25519:{device_id}")
    if not is_key(ed25519) or not is_key(curve25519):
        raise Malformed("a device without keys")
    if not is_signed(raw, user_id, ed25519, device_id):
        raise Malformed("a device that did not sign its keys")
    signed = self_signing is not None and is_signed(raw, user_id, self_signing)
    name = text(obj(raw.get("unsigned")).get("device_display_name"))
    return Device(user_id, device_id, ed25519, curve25519, signed, name)


def merge(old: Identity, new: Identity) -> Identity:
    """The new state; a device id whose keys changed is not believed again, whoever signed it (S18)."""
    devices = dict(new.devices)
    for device_id, device in new.devices.items():
        before = old.devices.get(device_id)
        if before is not None and not before.has_keys_of(device):
            devices[device_id] = Device(**{**vars(before), "signed": False})
    return Identity(new.user_id, new.master, devices, new.vouched)
