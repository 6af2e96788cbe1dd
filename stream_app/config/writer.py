"""Write to `render-config`: changes that count only on the version they were made to, and restatements."""

from stream_app.domain.config import ConfigInForce
from stream_app.kafka.render_config import RenderConfigReader, Told
from stream_app.kafka.writer import Writer
from topics.codec import encode
from topics.config import (
    ACTOR_HEADER,
    AS_OF_HEADER,
    BASE_HEADER,
    CONFIG_KEY,
    VERSION_HEADER,
    RenderClipConfig,
)
from topics.envelope import Headers
from topics.registry import RENDER_CONFIG

SERVE = "serve"
"""Who restates and takes back."""


class ConfigWriter:
    """Sends, and returns when this process has read what it sent: `reader` then says what became of it.

    While Kafka is away every call waits; the caller sets the time limit.
    """

    def __init__(self, writer: Writer, reader: RenderConfigReader) -> None:
        self._writer = writer
        self._reader = reader

    async def reach(self) -> None:
        """Return when Kafka answers; raises KafkaError when it does not."""
        await self._writer.reach()

    async def change(self, config: RenderClipConfig, *, base: int, actor: str) -> Told:
        """Ask for `config` in place of version `base`; what became of it."""
        headers: Headers = [(BASE_HEADER, str(base).encode()), (ACTOR_HEADER, actor.encode())]
        offset = await self._send(config, headers)
        told = self._reader.told(offset)
        if told is None:
            raise RuntimeError(f"the record at offset {offset} was sent and read, and is not known")
        return told

    async def keep_whole(self) -> None:
        """See that the last record says all that is in force, so that compaction may forget the others."""
        while not self._reader.state.is_canonical:
            await self.restate(self._reader.current)

    async def restate(self, in_force: ConfigInForce) -> None:
        """Say again what is in force, or bring back what was; void when something newer was not read yet."""
        headers: Headers = [
            (VERSION_HEADER, str(in_force.version).encode()),
            (AS_OF_HEADER, str(self._reader.state.read_to).encode()),
            (ACTOR_HEADER, SERVE.encode()),
        ]
        await self._send(in_force.config, headers)

    async def _send(self, config: RenderClipConfig, headers: Headers) -> int:
        sent = await self._writer.send(RENDER_CONFIG.name, CONFIG_KEY.encode(), encode(config), headers)
        await self._reader.read_to(sent.offset)
        return sent.offset
