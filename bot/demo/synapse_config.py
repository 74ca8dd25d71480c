"""What the embedded Synapse is told: written anew at each start, around a few secrets that are kept."""

import base64
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.kernel import clock

LOOPBACK = "127.0.0.1"

# Officers never come near these; a loop that runs away does.
GENEROUS = {"per_second": 50, "burst_count": 1000}
NONE = {"per_second": 1_000_000, "burst_count": 1_000_000}


class WrongServerNameError(Exception):
    """The folder belongs to a homeserver of another name, which is part of every id in it."""


@dataclass(frozen=True)
class Config:
    """One homeserver's folder, ready to start from."""

    folder: Path
    server_name: str
    port: int
    registration_secret: str

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def file(self) -> Path:
        """The configuration that Synapse reads; JSON is YAML too."""
        return self.folder / "homeserver.yaml"

    @property
    def log(self) -> Path:
        """Warnings and worse, and whatever Synapse prints."""
        return self.folder / "homeserver.log"


def kept_url(folder: Path) -> str | None:
    """Where the homeserver kept in `folder` was last; None if it was never started."""
    kept = folder / "kept.json"
    return f"http://{LOOPBACK}:{json.loads(kept.read_text())['port']}" if kept.exists() else None


def prepare(folder: Path, server_name: str, *, limits: bool, plain_rooms: bool = False) -> Config:
    """Write Synapse's files into `folder`; secrets and, while it is free, the port stay as they were."""
    kept = _kept(folder / "kept.json", server_name)
    if kept["server_name"] != server_name:
        raise WrongServerNameError(
            f"{folder} holds the homeserver {kept['server_name']}, not {server_name}; "
            "choose another data folder, or move that one away"
        )
    kept["port"] = _free_port(kept["port"])
    _write(folder / "kept.json", json.dumps(kept, indent=1))
    _write(folder / "signing.key", f"ed25519 a_tandem {kept['signing_seed']}\n")
    config = Config(folder.resolve(), server_name, kept["port"], kept["registration_secret"])
    _write(folder / "log.yaml", json.dumps(_logging(config), indent=1))
    _write(config.file, json.dumps(_synapse(config, kept, limits=limits, plain_rooms=plain_rooms), indent=1))
    return config


def _kept(path: Path, server_name: str) -> dict[str, Any]:
    """What must be the same at every start; made up at the first."""
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    return {
        "server_name": server_name,
        "port": 0,
        "signing_seed": base64.b64encode(clock.random_bytes(32)).decode().rstrip("="),
        "registration_secret": clock.token(32),
        "macaroon_secret": clock.token(32),
        "form_secret": clock.token(32),
    }


def _free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else a port that the system picks."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As Synapse will: connections of the last run that are still closing do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
            return number
    raise OSError("no free port on the loopback interface")


def _synapse(config: Config, kept: dict[str, Any], *, limits: bool, plain_rooms: bool) -> dict[str, Any]:
    folder = config.folder
    client_listener = {
        "port": config.port,
        "bind_addresses": [LOOPBACK],
        "type": "http",
        "resources": [{"names": ["client"]}],
    }
    return {
        "server_name": config.server_name,
        "public_baseurl": config.url,
        "listeners": [client_listener],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "log_config": str(folder / "log.yaml"),
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "registration_shared_secret": kept["registration_secret"],
        "macaroon_secret_key": kept["macaroon_secret"],
        "form_secret": kept["form_secret"],
        "enable_registration": False,
        "encryption_enabled_by_default_for_room_type": "off" if plain_rooms else "all",
        # Nobody outside: no other servers, no statistics, no previews of links.
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "report_stats": False,
        "url_preview_enabled": False,
        "presence": {"enabled": False},
        "caches": {"global_factor": 0.2},
        # The passwords here are long and random: a slow hash would only slow the tests and the tour.
        "bcrypt_rounds": 6,
        **_rates(GENEROUS if limits else NONE),
    }


def _rates(rate: dict[str, int]) -> dict[str, Any]:
    """`rate` for everything that Synapse limits by default."""
    return {
        "rc_message": rate,
        "rc_registration": rate,
        "rc_login": {"address": rate, "account": rate, "failed_attempts": rate},
        "rc_admin_redaction": rate,
        "rc_joins": {"local": rate, "remote": rate},
        "rc_joins_per_room": rate,
        "rc_invites": {"per_room": rate, "per_user": rate, "per_issuer": rate},
        "rc_room_creation": rate,
        "rc_3pid_validation": rate,
        "rc_key_requests": rate,
        "rc_media_create": rate,
        "rc_presence": {"per_user": rate},
        "rc_delayed_event_mgmt": rate,
        "rc_reports": rate,
    }


def _logging(config: Config) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "formatter": "line", "filename": str(config.log)},
        },
        "root": {"level": "WARNING", "handlers": ["file"]},
        "disable_existing_loggers": False,
    }


def _write(path: Path, text: str) -> None:
    """Write for the owner only, whole or not at all."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
