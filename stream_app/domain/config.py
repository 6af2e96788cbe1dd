"""Fold the records of `render-config` into the config in force."""

from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import to_json

from topics.codec import Poison, Tombstone, read_object
from topics.config import DEFAULT_VERSION, RenderClipConfig


@dataclass(frozen=True, slots=True)
class ConfigInForce:
    """A config and the offset of the record that set it; -1 while nobody has."""

    version: int
    config: RenderClipConfig


def default_config(clip_concurrency: int) -> ConfigInForce:
    """What is in force while the topic is empty."""
    return ConfigInForce(DEFAULT_VERSION, RenderClipConfig(max_parallelism=clip_concurrency))


def apply_record(
    current: ConfigInForce, default: ConfigInForce, offset: int, raw: bytes | None
) -> ConfigInForce | Poison:
    """The config after a record: a whole config, or a part of one, merged into the current.

    A tombstone brings the default back. A record that is wrong in any way changes nothing at all;
    the poison says why.
    """
    body = read_object(raw)
    if isinstance(body, Tombstone):
        return ConfigInForce(offset, default.config)
    if isinstance(body, Poison):
        return body
    try:
        merged = RenderClipConfig.model_validate_json(to_json(current.config.model_dump() | body))
    except ValidationError as error:
        return Poison(_in_words(error), stage="validate")
    return ConfigInForce(offset, merged)


def _in_words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
