"""Progress and logs: standard error, human by default, one JSON object a line with `--log-format json`.

Never the text of a record, never a secret: messages name ids, places and reasons.
"""

import json
import logging
import sys
import time

log = logging.getLogger("medcorpus")


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, event, and whatever was passed as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "ts": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


class Human(logging.Formatter):
    """`warning: ...` for what matters, the bare message for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        return message if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {message}"


def setup(fmt: str = "text", level: int = logging.INFO) -> None:
    """Send medcorpus' log to standard error. Called once, by the command line or a worker."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if fmt == "json" else Human())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False


def event(message: str, level: int = logging.INFO, **fields: object) -> None:
    """Log `message`; `fields` appear in JSON lines only."""
    log.log(level, message, extra={"fields": fields})
