"""Logs: one event a line; ids are shown, tokens and texts of exceptions never."""

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bot import logs


@pytest.fixture
def lines(tmp_path: Path) -> Iterator["Lines"]:
    """A log in a file; how logging was before is restored."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    file = tmp_path / "tandem.log"
    logs.configure("info", file)
    yield Lines(file)
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


class Lines:
    """What was logged, without the time."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> list[str]:
        """Each line, oldest first."""
        return [line.partition(" ")[2] for line in self.file.read_text().splitlines()]


def test_an_event_is_a_line_of_keys_and_values(lines: Lines) -> None:
    structlog.get_logger().info("alert.raised", id="A-7", room="!a:hq.example", why=None, note="two words")
    assert lines.all() == ['info alert.raised id=A-7 room=!a:hq.example note="two words"']


def test_a_value_cannot_begin_a_line_of_its_own(lines: Lines) -> None:
    structlog.get_logger().info("x\ninfo forged", value="a\nb\r\u2028c")
    assert len(lines.all()) == 1


def test_what_other_libraries_log_looks_the_same(lines: Lines) -> None:
    logging.getLogger("some.library").warning("slow answer from %s", "hq.example")
    logging.getLogger("nio.client").info("received {'body': 'Bridge closed'}")
    assert lines.all() == ["warning slow answer from hq.example"]


def test_a_token_is_never_shown(lines: Lines) -> None:
    structlog.get_logger().error("call.failed", url="https://hq.example/sync?access_token=syt_abc_def&x=1")
    logging.getLogger("aiohttp").error("Authorization: Bearer syt_abc_def")
    assert "abc" not in lines.file.read_text()


def test_an_exception_is_shown_by_type_and_place_without_its_text(lines: Lines) -> None:
    try:
        raise ValueError("Bridge closed")
    except ValueError:
        structlog.get_logger().exception("job.failed")
        logging.getLogger("apscheduler").exception("it raised")
    for line in lines.all():
        assert "error=ValueError" in line
        assert "test_logs.py:" in line
    assert "Bridge" not in lines.file.read_text()


def test_the_file_is_for_this_user_only(lines: Lines) -> None:
    assert stat.S_IMODE(lines.file.stat().st_mode) == 0o600
