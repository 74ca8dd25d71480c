"""The data folder: made for this user's eyes only, and worked in by one process at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.toml_file import ConfigError

LOCK = "tandem.lock"


class AlreadyRunning(Exception):
    """Another process works in this data folder; the text says which."""


def make_private(folder: Path) -> None:
    """Make the folder, for this user's eyes only; ConfigError if that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot make the data folder {folder} ({error.strerror})"
        raise ConfigError(f"{why}; set data to another, or TANDEM_DATA") from None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; AlreadyRunning if another process does."""
    # Kept open and not handed on: the lock ends with this process, whatever ends it.
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunning(
                f"another tandem runs in {folder} (process {holder}); stop it, or use another data folder"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    finally:
        os.close(lock)


def is_taken(folder: Path) -> bool:
    """Whether a process works in this folder now."""
    if not (folder / LOCK).exists():
        return False
    lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def kept_secret(file: Path, fresh: str) -> str:
    """What the file holds; it is written with `fresh`, for this user's eyes only, if it is not there."""
    with contextlib.suppress(FileExistsError):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w") as stream:
            stream.write(f"{fresh}\n")
    return file.read_text().strip()
