"""Bytes to models and back. Reading never raises: what cannot be read comes back as `Poison`."""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from topics.events import AnyMixEvent, mix_event_adapter
from topics.tasks import ClipTask

MAX_NESTING = 100
MAX_RECORD_BYTES = 16 * 2**20
"""Largest value of a record: 10,000 lines with candidates are 1-3 MB."""

MAX_TOLD = 20
"""Errors of one record that are told."""

ModelT = TypeVar("ModelT")


@dataclass(frozen=True, slots=True)
class Poison:
    """A value that cannot be read, and why. It goes to `dead-letters`, bytes untouched."""

    error: str
    stage: str = "decode"


@dataclass(frozen=True, slots=True)
class NoObject(Poison):
    """JSON can be read from it, but no object."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A record without a value."""


def encode(model: BaseModel) -> bytes:
    """One line of JSON: kcat's delimiter is the newline."""
    return model.model_dump_json().encode()


def read_object(raw: bytes | None) -> dict[str, Any] | Poison | Tombstone:
    """The JSON object in `raw`. NaN, lone surrogates and nesting beyond `MAX_NESTING` are poison."""
    if raw is None:
        return Tombstone()
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        return Poison(f"not JSON: {error}")
    if not isinstance(value, dict):
        return NoObject(f"a JSON object is expected, not {type(value).__name__}")
    # Most records have too few brackets to be worth a walk.
    if raw.count(b"{") + raw.count(b"[") > MAX_NESTING and _nesting(value) > MAX_NESTING:
        return Poison(f"nested deeper than {MAX_NESTING}")
    return value


def read_event(raw: bytes | None) -> AnyMixEvent | Poison | Tombstone:
    """The event of `mix-events` in `raw`; fields that this version does not know are ignored."""
    return _read(mix_event_adapter, raw)


def read_task(raw: bytes | None) -> ClipTask | Poison | Tombstone:
    """The task of `clip-tasks` in `raw`; fields that this version does not know are ignored."""
    return _read(_task_adapter, raw)


_task_adapter = TypeAdapter(ClipTask)


def _read(adapter: TypeAdapter[ModelT], raw: bytes | None) -> ModelT | Poison | Tombstone:
    if raw is None:
        return Tombstone()
    try:
        return adapter.validate_json(raw, extra="ignore")
    except ValidationError as error:
        return Poison(f"does not fit its model: {_in_words(error)}", stage="validate")


def _in_words(error: ValidationError) -> str:
    """What is wrong and where, never with which value: an address may carry a token."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, each['loc'])) or 'value'}: {each['msg']}" for each in errors[:MAX_TOLD]]
    more = [f"and {len(errors) - MAX_TOLD} more"] if len(errors) > MAX_TOLD else []
    return "; ".join([*told, *more])


def _nesting(value: dict[str, Any]) -> int:
    """Levels of objects and arrays, counted level by level so that depth costs no recursion."""
    depth = 0
    level: list[Any] = [value]
    while level:
        depth += 1
        if depth > MAX_NESTING:
            return depth
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return depth
