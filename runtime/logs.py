"""Structured logs: one event, one line, with its fields, as text for humans or as JSON for collectors.

Code logs with the standard `logging` module; fields go into ``extra``: ``log.info("reserved", extra={"pod": pod})``.
A line break in a message or an exception never breaks the line. Everything goes to stderr; stdout is for results.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

# What every LogRecord has: the rest of its attributes are the fields that the caller gave.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(*, log_format: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Set up the root logger, once a process, replacing what was there."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    # One line for each health probe would bury everything else.
    logging.getLogger("aiohttp.access").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, the fields, and ``error`` if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line."""
        line: dict[str, object] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key, value in fields_of(record).items():
            line.setdefault(key, value)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``time level logger: message key=value …``; a traceback follows, indented, since a human reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line."""
        message = record.getMessage().replace("\n", "\\n")
        fields = "".join(f" {key}={_short(value)}" for key, value in fields_of(record).items())
        line = f"{_time_of(record)} {record.levelname.lower():7} {record.name}: {message}{fields}"
        if record.exc_info:
            line += "\n  " + self.formatException(record.exc_info).replace("\n", "\n  ")
        return line


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Give what the caller put into ``extra``."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(value: object) -> str:
    text = str(value).replace("\n", "\\n")
    return json.dumps(text, ensure_ascii=False) if " " in text or '"' in text or not text else text
