"""One JSON object a line, with `timestamp`, `level`, `event` and, within a mix, `trace_id`."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_SECRET_KEY = re.compile(r"token|secret|password|authorization", re.IGNORECASE)
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://)(?:[^\s/?#\"']*@)?([^\s?#\"']*)(?:[?#][^\s\"']*)?", re.IGNORECASE)

Logger = structlog.stdlib.BoundLogger


def configure_logging(level: str, *, to: TextIO | None = None) -> None:
    """Send every log line of the process, the libraries' too, to stdout (or `to`) as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _add_trace_id,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(to or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("aiokafka", "faust", "mode", "uvicorn"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)


def get_logger() -> Logger:
    """The logger of a module."""
    logger: Logger = structlog.stdlib.get_logger("clipfold")
    return logger


def _add_trace_id(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Every line has the field, so that a query by `trace_id` needs no special case."""
    line.setdefault("trace_id", None)
    return line


def hide_secrets(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop fields that are named like a secret; take user names and query strings out of addresses.

    At any depth: libraries log what they were handed.
    """
    for key in [key for key in line if _SECRET_KEY.search(key)]:
        del line[key]
    for key, value in line.items():
        line[key] = without_secrets(value)
    return line


def without_secrets(value: Any) -> Any:
    """`value` without fields named like a secret, and without what addresses may tell, at any depth."""
    if isinstance(value, str):
        return _URL.sub(r"\1\2", value) if "://" in value else value
    if isinstance(value, dict):
        return {
            key: without_secrets(each)
            for key, each in value.items()
            if not (isinstance(key, str) and _SECRET_KEY.search(key))
        }
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value]
    return value
