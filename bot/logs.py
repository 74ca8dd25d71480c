"""Logs: one event a line, key=value, to stderr or a file; ids yes, text and tokens never."""

import json
import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

# These speak of their own concerns at INFO, and nio of more than ids.
QUIET = ("nio", "aiohttp", "apscheduler", "sqlalchemy", "aiosqlite", "asyncio", "alembic")
_TOKEN = re.compile(r"(?i)(syt_[\w-]+|bearer\s+\S+|(?:access_token|password|passphrase)=[^\s&]+)")


def configure(level: str, file: Path | None = None) -> None:
    """Send all that is logged to stderr, or to `file`, from this level up."""
    if file is None:
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        file.touch(mode=0o600)
        handler = logging.FileHandler(file, encoding="utf-8")
    shared: list[Any] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper("iso", utc=True)]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _place, _line],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _place(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception by its type and place: its message could quote what people wrote."""
    about = event.pop("exc_info", None)
    if about is True:
        about = sys.exc_info()
    error = about[1] if isinstance(about, tuple) else about
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        event["error"] = type(error).__name__
        event["at"] = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
    return event


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    at, level, name = event.pop("timestamp"), event.pop("level"), event.pop("event")
    pairs = " ".join(f"{key}={_value(value)}" for key, value in event.items() if value is not None)
    text = " ".join(filter(None, (f"{at[:19]}Z", level, str(name), pairs)))
    # One line, whatever is in it: nobody writes a line into the log by a name or an id.
    return _TOKEN.sub("…", " ".join(text.splitlines()))


def _value(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[\s"]', text) else text
