"""Every target by name: what it takes, what it begins with, and its share of a run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.config import SECTIONS
from commands import CAPABILITIES
from tests.fuzz import parts, rounds, typed
from tests.fuzz.mutation import read

CORPUS = Path(__file__).parent / "corpus"
TREE_BYTES = 40  # decisions of one input
SECONDS = 2.0  # of processor time that one input may take


@dataclass(frozen=True)
class Target:
    """Bytes go in, and nothing may come out but the errors that are documented.

    `samples` are the JSON that the bytes change; none where the bytes are the input itself. `share` is
    its part of a run, by what one input costs; `words` are what a fuzzer may put in.
    """

    run: Callable[[bytes], None]
    share: int
    longest: int = TREE_BYTES
    samples: tuple[Any, ...] = ()
    seeds: tuple[bytes, ...] = (b"",)
    words: tuple[str, ...] = ()

    def file(self, raw: bytes) -> tuple[str, str]:
        """Suffix and text of a file that keeps this input, and can be read by people if that may be."""
        if self.samples:
            return ".json", json.dumps(read(raw, *self.samples), indent=1) + "\n"
        try:
            return ".txt", raw.decode()
        except UnicodeDecodeError:
            return ".hex", raw.hex() + "\n"


def _examples() -> tuple[bytes, ...]:
    """The commands of the manual, in both languages and two zones."""
    lines = [
        each.typed
        for capability in CAPABILITIES
        for command in capability.commands
        for each in command.examples
    ]
    return tuple(bytes([number % 16]) + line.encode() for number, line in enumerate(lines))


_TIMES = (
    *(
        "tomorrow 14:00",
        "demain 9 h",
        "9999-12-31 23:59",
        "0001-01-01 00:00Z",
        "+90m",
        "in 2 h",
        "lundi 08:00",
    ),
    *("3 nov 2026 14 h", "31 dec", "EST", "Z", "+14:00", "America/Toronto", "12 pm", "0630", "1h30", "90m"),
)
_SIGNS = ("!", "=", '"', "“", "”", "«", "»", "\n", "\u200b", "\u00a0", "é", ",", "A-1", "#1", "@bob", "T-1")
_NAMES = (
    "alert",
    "alerte",
    "ack",
    "help",
    "aide",
    "member",
    "room",
    "me",
    "severe",
    "in=",
    "to=",
    "at=",
    "toy",
)
_HTML = ('<a href="https://matrix.to/#/', "@bob:cbp.example", '">', "</a>", "<a ", "%40", "&amp;", "\n> ")
_TOML = (
    *SECTIONS,
    *(
        "[",
        "]",
        "=",
        '"',
        "'''",
        "embedded",
        "homeserver",
        "user",
        "zone",
        "America",
        "fingerprints",
        "admins",
    ),
    *(
        "1979-05-27",
        "inf",
        "0x",
        "{",
        "}",
        ",",
        "#",
        "url",
        "postgresql://",
        "sqlite+aiosqlite:///",
        "https://[",
    ),
)
_CONFIG = (
    b'[matrix]\nhomeserver = "embedded"\n[members]\nadmins = ["@sam:hq.example"]\n[rooms]\nzone = "UTC"\n'
)
_PILL = b'!member Bob\n<a href="https://matrix.to/#/@bob:cbp.example">Bob</a>'
_ANSWER = b'\x00{"next_batch":"s1","n":1e999,"deep":[[[]]],"text":"\\ud800\\u0000"}'
_FIRST = tuple(bytes([number]) for number in range(len(rounds.ROUNDS)))

TARGETS: dict[str, Target] = {
    "sync": Target(rounds.round_of_sync, 15, samples=rounds.ROUNDS, seeds=_FIRST),
    "olm": Target(rounds.olm_message, 30, samples=(rounds.MESSAGE,)),
    "rows": Target(rounds.rows, 12, samples=rounds.ROWS, seeds=_FIRST[: len(rounds.ROWS)]),
    "payload": Target(rounds.plaintext, 120, samples=(rounds.PLAIN,)),
    "plain-bytes": Target(parts.plain_bytes, 300, 1024, seeds=(json.dumps(rounds.PLAIN).encode(),)),
    "answer": Target(parts.answer, 2800, 1024, seeds=(_ANSWER,)),
    "canonical": Target(parts.whole_json, 250, samples=parts.SIGNED),
    "keys-query": Target(parts.keys_query, 40),
    "keys-claim": Target(parts.keys_claim, 40),
    "device-keys": Target(parts.device_keys, 120),
    "room-state": Target(parts.room_state, 400, samples=rounds.ROUNDS, seeds=_FIRST),
    "secrets": Target(parts.secrets, 120),
    "command": Target(
        typed.command, 200, typed.LONGEST_LINE, seeds=_examples(), words=(*_TIMES, *_SIGNS, *_NAMES)
    ),
    "mentions": Target(typed.pill, 5700, 4096, seeds=(_PILL,), words=_HTML),
    "config": Target(typed.config, 60, 1500, seeds=(_CONFIG,), words=_TOML),
}


def kept(name: str) -> dict[str, bytes]:
    """The corpus of a target: file name and input."""
    found = {}
    for path in sorted((CORPUS / name).glob("*")):
        text = path.read_bytes()
        found[path.name] = bytes.fromhex(text.decode()) if path.suffix == ".hex" else text
    return found
