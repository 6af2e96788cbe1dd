"""Ask for the render config and change it, for the API and the command line alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.errors import KafkaError

from projections.reader import SnapshotReader
from stream_app.config.history import ConfigChange, read_history
from stream_app.config.writer import ConfigWriter
from stream_app.domain.config import ConfigInForce, InvalidConfigError, Problem, Verdict, merged
from stream_app.domain.errors import ClipfoldError, OwnFaultError, SourceError
from stream_app.kafka.render_config import RenderConfigReader
from topics.config import RenderClipConfig

KAFKA_TIMEOUT_S = 5.0
"""Kafka acknowledges in milliseconds; one that needs longer is away."""

TRIES = 10
"""Of a change that names no version, while others change the config at the same moment."""


class StaleVersionError(ClipfoldError):
    """The version that the change was to be made to is not in force any more; `in_force` is."""

    stage = "config"

    def __init__(self, in_force: ConfigInForce) -> None:
        super().__init__(f"version {in_force.version} is in force: get it, and make the change to that")
        self.in_force = in_force


class KafkaAwayError(OwnFaultError):
    """Kafka does not answer."""

    stage = "config"


class ConfigService:
    """The config as this process has read it, and the way to change it.

    Args:
        reader: of the topic, running.
        writer: to the topic.
        check: raises SourceError for a placeholder that is not good; see `PlaceholderCheck`.
    """

    def __init__(
        self,
        reader: RenderConfigReader,
        writer: ConfigWriter,
        check: Callable[[str], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._check = check
        self._one_at_a_time = asyncio.Lock()

    async def get(self) -> ConfigInForce:
        """The config in force, as far as this process has read.

        Raises:
            KafkaAwayError: nothing has been read since the process started.
        """
        async with _kafka("the config is not known yet: Kafka does not answer"):
            await self._reader.ready.wait()
        return self._reader.current

    async def change(
        self, changes: Mapping[str, Any], *, actor: str, versions: Collection[int] | None = None
    ) -> ConfigInForce:
        """Merge `changes` into the config in force; returns when Kafka and this process have it.

        Args:
            changes: field to value, as JSON gives them.
            actor: who asks.
            versions: the change counts only while one of them is in force; None: whatever is.

        Raises:
            InvalidConfigError: with everything that is wrong.
            StaleVersionError: none of `versions` is in force.
            KafkaAwayError: Kafka does not answer.
        """
        async with _kafka("nothing was changed: Kafka does not answer"):
            await self._reader.ready.wait()
            # Sent to a Kafka that is away, a record would wait for it, and count long after the answer.
            await self._writer.reach()
        await self._validate(self._reader.current.config, changes)
        async with self._one_at_a_time:
            for _ in range(TRIES):
                found = self._reader.current
                if versions is not None and found.version not in versions:
                    break
                async with _kafka(
                    "Kafka has not acknowledged the change, and may still take it: "
                    "get the config before you try again"
                ):
                    told = await self._writer.change(
                        merged(found.config, changes), base=found.version, actor=actor
                    )
                    if told.step.verdict is Verdict.APPLIED:
                        return told.step.after
                    await self._writer.keep_whole()
        if versions is None:
            raise KafkaAwayError("nothing was changed: others change the config at every moment")
        raise StaleVersionError(self._reader.current)

    async def history(
        self, snapshot: SnapshotReader, limit: int, *, before: int | None = None
    ) -> list[ConfigChange]:
        """The newest changes, the newest first; see `read_history`."""
        return await read_history(snapshot, self._reader, limit, before=before)

    async def _validate(self, config: RenderClipConfig, changes: Mapping[str, Any]) -> None:
        problems: tuple[Problem, ...] = ()
        if not changes:
            problems = (Problem("", "empty", "name at least one field"),)
        try:
            merged(config, changes)
        except InvalidConfigError as error:
            problems += error.problems
        field = "placeholder_asset_path"
        if field in changes and all(problem.field != field for problem in problems):
            try:
                await self._check(changes[field])
            except SourceError as error:
                problems += (Problem(field, error.reason, str(error)),)
        if problems:
            raise InvalidConfigError(problems)


@asynccontextmanager
async def _kafka(message: str) -> AsyncIterator[None]:
    """Say `message` when Kafka fails or does not answer in time."""
    try:
        async with asyncio.timeout(KAFKA_TIMEOUT_S):
            yield
    except (KafkaError, TimeoutError) as error:
        raise KafkaAwayError(message) from error
