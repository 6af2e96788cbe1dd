"""Exit codes, and the one table that maps errors to them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError
from rich.console import Console

from stream_app.domain.errors import ClipfoldError, UsageError
from stream_app.kafka.broker import BrokerError
from stream_app.settings import variable_of


class Exit(IntEnum):
    """What a command's exit status says."""

    FINE = 0
    FAILED = 1
    WRONG_USE = 2
    SERVICE_MISSING = 3
    INTERRUPTED = 130


class ServiceMissingError(ClipfoldError):
    """A service that the command needs is not there; the message says what to type."""

    stage = "service"


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a command raises into one clear line on stderr and the exit code that fits."""
    try:
        with _first_of_several():
            yield
    except (typer.Exit, SystemExit):
        raise
    except KeyboardInterrupt:
        _fail("interrupted; type the same command again to go on", Exit.INTERRUPTED)
    except ValidationError as error:
        _fail(_settings_in_words(error), Exit.WRONG_USE)
    except UsageError as error:
        _fail(str(error), Exit.WRONG_USE)
    except (ServiceMissingError, BrokerError, KafkaError, ConnectionError) as error:
        _fail(str(error) or type(error).__name__, Exit.SERVICE_MISSING)
    except (ClipfoldError, OSError, TimeoutError) as error:
        _fail(str(error) or type(error).__name__, Exit.FAILED)


@contextmanager
def _first_of_several() -> Iterator[None]:
    """Of parts that run together, the one that failed first is what there is to tell: it ended the others."""
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _settings_in_words(error: ValidationError) -> str:
    """Name each setting as the user writes it; what was written may be a secret and is not shown."""
    problems = error.errors(include_url=False, include_input=False)
    return "settings cannot be used: " + "; ".join(
        f"{_setting(problem['loc'])}: {problem['msg']}" for problem in problems
    )


def _setting(loc: tuple[int | str, ...]) -> str:
    # A setting that has a standard name is told by it already.
    name = ".".join(map(str, loc))
    return name if name.startswith("OTEL_") else variable_of(name)


def _fail(message: str, code: Exit) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"clipfold: {message}", markup=False)
    sys.exit(code)
