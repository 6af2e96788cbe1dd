"""Fold the records of `render-config` into the config in force, alike in every process that reads them.

A record without headers, as kcat sends it, is a whole config or a part of one, merged into what is in force.
A change made by the program says which version it was made to, and counts only while that one is in force:
so of two changes to one version exactly one wins, and the log alone says which. A restatement sets nothing
new: it says again what is in force, so that what compaction keeps is whole.
docs/adr/0012-changes-of-the-config.md says why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import to_json

from stream_app.domain.errors import ClipfoldError
from topics.codec import Poison, Tombstone, read_object
from topics.config import (
    AS_OF_HEADER,
    BASE_HEADER,
    DEFAULT_VERSION,
    MAX_CONFIG_BYTES,
    VERSION_HEADER,
    RenderClipConfig,
)

MAX_TOLD = 20
"""Problems in the message of an error, which goes into logs and headers."""


@dataclass(frozen=True, slots=True)
class ConfigInForce:
    """A config and the offset of the record that set it; -1 while nobody has."""

    version: int
    config: RenderClipConfig


class Verdict(StrEnum):
    """What became of a record of `render-config`."""

    APPLIED = "applied"
    """It set a new version."""

    RESTATED = "restated"
    """It said what is in force, or brought an earlier version back."""

    CONFLICT = "conflict"
    """It was made to a version that was no longer in force, and changed nothing."""

    OUTDATED = "outdated"
    """It restated what had changed since, and changed nothing."""

    REFUSED = "refused"
    """It is wrong, and changed nothing."""


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """A record under the topic's one key; `headers` are its `config-*` headers, as text."""

    offset: int
    value: bytes | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, offset: int, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] = ()) -> Self:
        """From what Kafka gives; other headers are left out."""
        return cls(offset, value, config_headers(headers))


def config_headers(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Those of a record's headers that say how it counts."""
    known = (BASE_HEADER, VERSION_HEADER, AS_OF_HEADER)
    return {name: (value or b"").decode(errors="replace") for name, value in headers if name in known}


@dataclass(frozen=True, slots=True)
class ConfigState:
    """What the records read so far come to.

    Attributes:
        in_force: the config, and its version.
        decided_at: offset of the record that last set, restated or brought back a config; -1 before.
        read_to: offset of the last record read; -1 before.
        is_canonical: whether the last record says all that is in force, so that compaction may keep it alone.
    """

    in_force: ConfigInForce
    decided_at: int = -1
    read_to: int = -1
    is_canonical: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One record, what it found, what it left, and what is wrong with it."""

    record: ConfigRecord
    before: ConfigInForce
    state: ConfigState
    verdict: Verdict
    error: str | None = None

    @property
    def after(self) -> ConfigInForce:
        """The config after the record."""
        return self.state.in_force

    @property
    def changes(self) -> dict[str, list[Any]]:
        """Field: [old, new], for each field that it changed."""
        old, new = self.before.config.model_dump(), self.after.config.model_dump()
        return {name: [old[name], new[name]] for name in new if old[name] != new[name]}

    @property
    def is_news(self) -> bool:
        """Whether it belongs into a history: what only repeats does not."""
        repeats = self.verdict is Verdict.OUTDATED or (
            self.verdict is Verdict.RESTATED and self.before == self.after
        )
        return not repeats


def default_config(clip_concurrency: int) -> ConfigInForce:
    """What is in force while the topic is empty."""
    return ConfigInForce(DEFAULT_VERSION, RenderClipConfig(max_parallelism=clip_concurrency))


def apply_record(state: ConfigState, default: ConfigInForce, record: ConfigRecord) -> Step:
    """The state after a record.

    A tombstone brings the default back, as a version of its own. A record that is wrong in any way changes
    nothing at all; the step's `error` says why.
    """
    try:
        base, restates, as_of = (
            _number(record.headers, name) for name in (BASE_HEADER, VERSION_HEADER, AS_OF_HEADER)
        )
        body = _body(record.value)
        if restates is not None:
            return _restate(state, default, record, body, version=restates, as_of=as_of)
        if base is not None and not _is_based_well(state, record.offset, base):
            error = f"it was made to version {base}, and version {state.in_force.version} was in force"
            return _unchanged(state, record, Verdict.CONFLICT, error)
        config = default.config if body is None else merged(state.in_force.config, body)
    except _RefusedError as refusal:
        return _unchanged(state, record, Verdict.REFUSED, str(refusal))
    is_whole = body is not None and body.keys() >= RenderClipConfig.model_fields.keys()
    return _decided(state, record, Verdict.APPLIED, ConfigInForce(record.offset, config), is_whole=is_whole)


def merged(config: RenderClipConfig, changes: Mapping[str, Any]) -> RenderClipConfig:
    """The config with some of its fields changed.

    Raises:
        InvalidConfigError: with every error.
    """
    try:
        return RenderClipConfig.model_validate_json(to_json(config.model_dump() | dict(changes)))
    except ValidationError as error:
        raise InvalidConfigError(
            tuple(
                Problem(".".join(map(str, problem["loc"])), problem["type"], problem["msg"])
                for problem in error.errors(include_url=False, include_input=False)
            )
        ) from error


class _RefusedError(ClipfoldError):
    """A record is wrong; the message says why."""

    stage = "config"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of a config; `code` is for programs, `message` for people."""

    field: str
    code: str
    message: str


class InvalidConfigError(_RefusedError):
    """Fields are wrong; `problems` has all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        told = [f"{problem.field}: {problem.message}" for problem in problems[:MAX_TOLD]]
        if len(problems) > MAX_TOLD:
            told.append(f"and {len(problems) - MAX_TOLD} more")
        super().__init__("; ".join(told))


def _restate(
    state: ConfigState,
    default: ConfigInForce,
    record: ConfigRecord,
    body: dict[str, Any] | None,
    *,
    version: int,
    as_of: int | None,
) -> Step:
    if as_of is None or as_of >= record.offset or version > as_of or version < DEFAULT_VERSION:
        raise _RefusedError(
            f"{VERSION_HEADER}: {version} with {AS_OF_HEADER}: {as_of} is no restatement of an earlier record"
        )
    if version == DEFAULT_VERSION:
        config = default.config  # each process has its own
    elif body is None:
        raise _RefusedError("a restatement says the whole config")
    else:
        config = merged(default.config, body)
    if version != state.in_force.version and state.decided_at > as_of:
        return _unchanged(state, record, Verdict.OUTDATED)
    return _decided(state, record, Verdict.RESTATED, ConfigInForce(version, config), is_whole=True)


def _is_based_well(state: ConfigState, offset: int, base: int) -> bool:
    """Whether a change to version `base` counts.

    A version that was not read was compacted away: then the reader takes the word of the record, and if that
    is wrong, of the restatement that follows it.
    """
    return base == state.in_force.version or state.read_to < base < offset


def _decided(
    state: ConfigState, record: ConfigRecord, verdict: Verdict, after: ConfigInForce, *, is_whole: bool
) -> Step:
    new = ConfigState(after, record.offset, record.offset, is_canonical=is_whole)
    return Step(record, state.in_force, new, verdict)


def _unchanged(state: ConfigState, record: ConfigRecord, verdict: Verdict, error: str | None = None) -> Step:
    new = replace(state, read_to=record.offset, is_canonical=False)
    return Step(record, state.in_force, new, verdict, error)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    if text is None:
        return None
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        raise _RefusedError(f"the header {name} is no number: {text[:40]!r}")
    return int(text[:20])


def _body(value: bytes | None) -> dict[str, Any] | None:
    """The fields that a record says; None for a tombstone."""
    if value is not None and len(value) > MAX_CONFIG_BYTES:
        raise _RefusedError(f"it has {len(value)} bytes, and a config at most {MAX_CONFIG_BYTES}")
    body = read_object(value)
    if isinstance(body, Poison):
        raise _RefusedError(body.error)
    if isinstance(body, Tombstone):
        return None
    if not body:
        raise _RefusedError("it says nothing: name at least one field")
    return body
