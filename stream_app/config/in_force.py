"""The config that a worker obeys: what the log says, from the moment that its placeholder is ready here."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from stream_app.domain.config import ConfigInForce, Step
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.config import RenderClipConfig

GRACE_S = 2.0
"""A config whose placeholder is not good here waits so long: `serve` takes back within milliseconds what is
good nowhere. What is good elsewhere is then obeyed in all but its placeholder."""

RETRY_S = 1.0

log = get_logger()


class ConfigAtWork:
    """Puts into force what `reader` reads.

    A change that leaves the placeholder as it is counts in the same moment; another one when its placeholder
    was decoded. While that is not possible, the last good placeholder stays, and the log says so.

    Args:
        reader: of the topic.
        check: raises when a placeholder is not good; see `PlaceholderCheck`.
    """

    def __init__(self, reader: RenderConfigReader, check: Callable[[str], Awaitable[None]]) -> None:
        self._reader = reader
        self._check = check
        self._read = asyncio.Event()
        self._good_path: str | None = None
        self._asked: ConfigInForce | None = None
        self.current: ConfigInForce = reader.current
        self.on_change: Callable[[], None] = lambda: None
        self.ready = asyncio.Event()
        """Set once a config is in force: no task is taken before."""

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the reader until `stop`."""
        self._reader.on_change = self._note
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, working):
                task.cancel()
        with suppress(asyncio.CancelledError):
            await working

    def _note(self, step: Step) -> None:
        if step.before == step.after:
            return
        asked = self._reader.current
        if self.ready.is_set() and asked.config.placeholder_asset_path == self._good_path:
            self._obey(asked, asked.config)
        self._read.set()

    async def _work(self) -> None:
        await self._reader.ready.wait()
        while True:
            self._read.clear()
            asked = self._reader.current
            if asked != self._asked:
                await self._prepare(asked)
            await self._read.wait()

    async def _prepare(self, asked: ConfigInForce) -> None:
        """Put `asked` into force, unless something newer was read before its placeholder was ready."""
        path = asked.config.placeholder_asset_path
        if path == self._good_path or await self._is_good(path, asked.version):
            if asked == self._reader.current:
                self._good_path = path
                self._obey(asked, asked.config)
            return
        is_known_to_be_bad = self._asked is not None and path == self._asked.config.placeholder_asset_path
        if await self._something_newer(GRACE_S if self.ready.is_set() and not is_known_to_be_bad else 0):
            return
        self._obey(asked, _with_placeholder(asked.config, self._good_path))

    async def _is_good(self, path: str, version: int) -> bool:
        while True:
            try:
                await self._check(path)
            except SourceError as error:
                log.warning(
                    "render_worker.placeholder_asset_unusable",
                    path=path,
                    config_version=version,
                    kept=self._good_path,
                    error=str(error),
                )
                return False
            except OwnFaultError as error:
                log.warning("render_worker.placeholder_asset_unchecked", path=path, error=str(error))
                if await self._something_newer(RETRY_S):
                    return False
            else:
                return True

    async def _something_newer(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._read.wait(), timeout_s)
        return self._read.is_set()

    def _obey(self, asked: ConfigInForce, config: RenderClipConfig) -> None:
        if self._asked == asked:
            return
        self._asked = asked
        self.current = ConfigInForce(asked.version, config)
        announce(self.current)
        metrics.SLOTS.set(config.max_parallelism)
        self.ready.set()
        self.on_change()


def announce(in_force: ConfigInForce) -> None:
    """Count a config that is in force in this process from now on, and say so."""
    config = in_force.config
    metrics.CONFIG_UPDATES.inc()
    log.info(
        "render_worker.config_hot_reload",
        new_parallelism=config.max_parallelism,
        per_video_limit=config.per_video_limit,
        max_retry=config.max_retry,
        clip_timeout_ms=config.clip_timeout_ms,
        retry_backoff_ms=config.retry_backoff_ms,
        placeholder_asset_path=config.placeholder_asset_path,
        config_version=in_force.version,
    )


def _with_placeholder(config: RenderClipConfig, path: str | None) -> RenderClipConfig:
    return config if path is None else config.model_copy(update={"placeholder_asset_path": path})
