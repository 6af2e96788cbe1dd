"""What a process that changes the render config is made of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stream_app.config.keeper import ConfigKeeper
from stream_app.config.placeholder import PlaceholderCheck
from stream_app.config.service import ConfigService
from stream_app.config.writer import ConfigWriter
from stream_app.cutting.pool import open_pool
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings


@dataclass(frozen=True, slots=True)
class ConfigParts:
    """What changes the render config, and what keeps its topic in order."""

    service: ConfigService
    keeper: ConfigKeeper


@asynccontextmanager
async def changing_config(
    settings: Settings, writer: Writer, reader: RenderConfigReader
) -> AsyncIterator[ConfigParts]:
    """The parts of one process, on what `reader` reads; the caller runs reader and keeper."""
    async with open_pool(settings, 1) as pool:
        check = PlaceholderCheck(settings.media_roots, pool)
        config_writer = ConfigWriter(writer, reader)
        yield ConfigParts(
            ConfigService(reader, config_writer, check),
            ConfigKeeper(reader, config_writer, writer, check),
        )
