"""Every setting, from the environment (prefix `RENDER_`) and `.env`; `.env.example` is made from here."""

import os
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def default_home() -> Path:
    """`clipfold` in the user's cache folder: `$XDG_CACHE_HOME`, else `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfold"


def variable_of(field: str) -> str:
    """What a user sets for a field of `Settings`."""
    known = Settings.model_fields.get(field)
    alias = known.validation_alias if known else None
    return alias if isinstance(alias, str) else f"{Settings.model_config['env_prefix']}{field}".upper()


class Settings(BaseSettings):
    """Read once at the start of a process and never changed; what changes lives in `render-config`."""

    model_config = SettingsConfigDict(
        env_prefix="RENDER_",
        env_file=".env",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
    )

    kafka_bootstrap: str | None = Field(
        None, description="host:port[,host:port] of your own Kafka; empty: the embedded broker"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how every client talks to Kafka"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="used with SASL_*"
    )
    kafka_sasl_username: str | None = Field(None, description="used with SASL_*")
    kafka_sasl_password: SecretStr | None = Field(None, description="used with SASL_*")
    kafka_ssl_cafile: Path | None = Field(
        None, description="PEM of the authorities to trust; empty: the system's"
    )
    kafka_ssl_certfile: Path | None = Field(None, description="PEM of the client's certificate (mTLS)")
    kafka_ssl_keyfile: Path | None = Field(None, description="PEM of the client's key (mTLS)")
    kafka_replication_factor: Annotated[int, Field(ge=-1, le=32)] = Field(
        -1, description="copies of each topic that clipfold creates; -1: the broker's default"
    )
    kafka_session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = Field(
        10_000, description="a worker that is silent for so long loses its partitions to the others"
    )
    kafka_request_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = Field(
        40_000, description="time limit of one request to Kafka"
    )
    home: Path = Field(
        default_factory=default_home,
        description="where the embedded broker keeps its program and its data; default ~/.cache/clipfold",
    )

    artifacts_dir: Path = Field(Path("artifacts"), description="clips, videos and the DuckDB snapshot")
    media_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (Path(),),
        description="folders that sources may lie in, separated by ':'; default: the working directory",
    )
    allow_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="host names, separated by ',', that the address guard is open for, whatever address "
        "and port they have",
    )
    allow_cidrs: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="networks, separated by ',', that the address guard is open for, on any port"
    )
    fetch_connect_timeout_ms: Annotated[int, Field(ge=10, le=300_000)] = Field(
        5_000, description="time limit of a connection to a source's server, TLS included"
    )
    fetch_answer_timeout_ms: Annotated[int, Field(ge=10, le=300_000)] = Field(
        15_000, description="a server gets so long from the request to the first byte of its answer"
    )
    fetch_timeout_ms: Annotated[int, Field(ge=100, le=86_400_000)] = Field(
        600_000, description="time limit of one answer, from the request to its last byte"
    )
    min_fetch_rate: Annotated[int, Field(ge=0)] = Field(
        16_384, description="bytes a second; a server that stays below it is given up (cdn_error)"
    )
    max_source_bytes: Annotated[int, Field(ge=1)] = Field(
        8 * 2**30, description="a source of more bytes is refused (source_invalid)"
    )
    max_pixels: Annotated[int, Field(ge=256)] = Field(
        8192 * 4352, description="a source with frames of more pixels is refused (source_invalid)"
    )
    source_cache_dir: Path | None = Field(
        None, description="where fetched sources are kept; empty: sources in the artifacts folder"
    )
    source_cache_bytes: Annotated[int, Field(ge=0)] = Field(
        10 * 2**30,
        description="fetched sources are kept up to so many bytes; the least recently used go first",
    )
    source_fresh_ms: Annotated[int, Field(ge=0)] = Field(
        60_000, description="a fetched source is used for so long before its server is asked for changes"
    )
    sandbox: Literal["auto", "strict", "off"] = Field(
        "auto",
        description="bubblewrap around the cutters: where there is one, or refuse to start without, or never",
    )
    clip_concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="slots of a worker while render-config sets no max_parallelism"
    )
    drain_timeout_ms: Annotated[int, Field(ge=0, le=300_000)] = Field(
        8_000, description="running cuts get so long to end when a worker stops or loses a partition"
    )
    join_timeout_ms: Annotated[int, Field(ge=1000)] = Field(
        1_800_000, description="time limit of joining one mix"
    )
    keep_tmp: bool = Field(False, description="keep artifacts/render_tmp of ended mixes")
    gc_every_minutes: Annotated[int, Field(ge=0)] = Field(
        1440, description="a worker removes what is kept no longer so often; 0: only `clipfold gc` does"
    )
    keep_clips_days: Annotated[float, Field(ge=0.0001)] = Field(
        30.0, description="a clip is kept for so long after its last use and the end of the last mix it is in"
    )
    keep_videos_days: float | None = Field(
        None, ge=0.0001, description="a video is kept for so long after it was rendered; empty: for ever"
    )
    keep_aside_days: Annotated[float, Field(ge=0.0001)] = Field(
        30.0, description="a damaged file that was put aside is kept for so long"
    )
    worker_id: str | None = Field(
        None, description="name of this worker in events and logs, one for each; default: host and process id"
    )
    stuck_after_ms: Annotated[int, Field(ge=2000)] = Field(
        300_000,
        description="a worker that has work, is not kept from it by a full disk or Kafka, and gets nowhere "
        "for so long ends with status 1; a running attempt may take its own time limits on top",
    )
    metrics_host: str = Field(
        "127.0.0.1", description="where a worker serves /metrics, /healthz and /readyz: they tell no secrets"
    )
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        9108, description="/metrics, /healthz and /readyz of a worker; 0: any free port"
    )
    api_host: str = Field(
        "127.0.0.1", description="where serve listens; beyond loopback only when there are API tokens"
    )
    api_port: Annotated[int, Field(ge=0, le=65_535)] = Field(8080, description="where serve listens; 0: any")
    api_tokens: SecretStr | None = Field(
        None,
        description="who may use the API: name:role:secret, separated by ','; the role is read or operate, "
        "the secret has 16 characters or more or is sha256: and its hash; none: whoever is on this machine",
    )
    api_tokens_file: Path | None = Field(
        None, description="a file of further tokens, one a line; # begins a comment"
    )
    api_max_streams: Annotated[int, Field(ge=1, le=10_000)] = Field(
        64, description="event streams that the API serves at a time"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="of the log on stdout"
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/]+",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="where traces are sent, such as http://127.0.0.1:4318 (OTLP over HTTP); empty: nowhere",
    )

    @field_validator("media_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        return tuple(Path(part) for part in value.split(os.pathsep)) if isinstance(value, str) else value

    @field_validator("allow_hosts", "allow_cidrs", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @cached_property
    def clips_dir(self) -> Path:
        """The content-addressed store of clips."""
        return self.artifacts_dir / "clips"

    @cached_property
    def sources_dir(self) -> Path:
        """Where fetched sources are kept."""
        return self.source_cache_dir or self.artifacts_dir / "sources"

    @cached_property
    def render_tmp_dir(self) -> Path:
        """Where the clips of mixes in work are linked to."""
        return self.artifacts_dir / "render_tmp"

    @cached_property
    def mixes_dir(self) -> Path:
        """Finished videos, one folder for each mix and revision."""
        return self.artifacts_dir / "mixes"

    @cached_property
    def songs_dir(self) -> Path:
        """Encoded songs, by what they were made of."""
        return self.artifacts_dir / "songs"

    @cached_property
    def projection_path(self) -> Path:
        """The DuckDB file that `serve` folds into; nobody else opens it."""
        return self.artifacts_dir / "projection" / "private.duckdb"

    @cached_property
    def snapshot_path(self) -> Path:
        """The DuckDB file that users open."""
        return self.artifacts_dir / "clipfold.duckdb"
