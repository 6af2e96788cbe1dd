"""The render config: how the workers of a cluster cut, changed while they run."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_VERSION = -1
"""`config_version` while nobody has set a config: no record stands at that offset."""

CONFIG_KEY = "render"
"""The one key of `render-config`."""

MAX_CONFIG_BYTES = 64 * 2**10
"""Largest value of a record that counts: a config with the longest path has 5 KB."""

ACTOR_HEADER = "actor"
"""Who changes the config: the name of a token, `api`, `cli`, or `serve`. kcat leaves it out."""

UNNAMED_ACTOR = "kcat"
"""Who is named for a record without that header."""

BASE_HEADER = "config-base"
"""The version that a change was made to. It counts only while that version is in force."""

VERSION_HEADER = "config-version"
"""Says that the record sets nothing new: it restates that version, because compaction keeps a last record."""

AS_OF_HEADER = "config-as-of"
"""On a restatement: the last offset that had been read when it was made. Later changes stand."""


class RenderClipConfig(BaseModel):
    """Limits that every worker obeys from the moment its record is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_parallelism: Annotated[int, Field(ge=1, le=64)] = Field(4, description="slots of one worker")
    per_video_limit: Annotated[int, Field(ge=1, le=64)] = Field(
        2, description="attempts at one video at a time, in the whole cluster"
    )
    max_retry: Annotated[int, Field(ge=0, le=10)] = Field(
        2, description="further attempts at one candidate after a retryable failure"
    )
    placeholder_asset_path: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        "media/fallback/clip_placeholder.mp4", description="under a media root, decodable as video"
    )
    clip_timeout_ms: Annotated[int, Field(ge=1, le=3_600_000)] = Field(
        120_000, description="an attempt is ended after so long"
    )
    retry_backoff_ms: Annotated[int, Field(ge=0, le=600_000)] = Field(
        500, description="wait before the first retry; each further one waits twice as long"
    )
