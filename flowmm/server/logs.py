"""The server's log: a line for people, or JSON lines for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
NOISY = ("httpx", "gradio", "mcp", "multipart", "PIL", "asyncio")


class Lines(logging.Formatter):
    """2026-01-31 12:00:00 run ended  state=done seconds=1.2"""

    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        text = f"{datetime.fromtimestamp(record.created):%Y-%m-%d %H:%M:%S} {record.getMessage()}"
        if record.levelno >= logging.WARNING:
            text = f"{text[:20]}{record.levelname.lower()}: {text[20:]}"
        return f"{text}{'  ' * bool(extra)}{extra}" + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class JsonLines(logging.Formatter):
    """{"time": …, "level": …, "logger": …, "event": …} and what else was said, one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        found = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(), "level": record.levelname.lower(), "logger": record.name,
                 "event": record.getMessage(), **_extra(record)}  # fmt: skip
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in vars(record).items() if name not in _OWN and value not in (None, "")}


def _blamed(record: logging.LogRecord) -> bool:
    """Text of a client that is no UTF-8 ends its socket, and is no failure of ours, as uvicorn says it."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
    return True


def set_up(as_json: bool, level: int = logging.INFO) -> None:
    """Log to the standard error stream."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.WARNING)
        logger.addFilter(_blamed)
