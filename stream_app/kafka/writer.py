"""Send records to Kafka. A send returns when every in-sync replica has it, and not before."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import stamina
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from stream_app.kafka.clients import make_producer
from stream_app.kafka.record import Record
from stream_app.settings import Settings
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, encode
from topics.dead_letters import dead_letter
from topics.envelope import Headers, wrap
from topics.events import MixEvent
from topics.ids import RecordRef
from topics.registry import CLIP_TASKS, DEAD_LETTERS, MIX_EVENTS
from topics.tasks import ClipTask

MAX_RETRY_WAIT_S = 5.0

log = get_logger()


class Writer:
    """Sends what one role has to say.

    While Kafka is away, sends wait and are tried again for ever: a fact that has happened is never
    dropped. Ids are functions of their cause, so what is sent twice means the same once.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._role = role
        self._producer: AIOKafkaProducer | None = None
        self._refused_at = -math.inf

    def is_refused(self) -> bool:
        """Whether Kafka did not take something a moment ago, though it may answer: with too few replicas.

        A send that is refused is tried again, and fails again, within its time limit.
        """
        recent_s = 2 * self._settings.kafka_request_timeout_ms / 1000 + MAX_RETRY_WAIT_S
        return time.monotonic() - self._refused_at < recent_s

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: Kafka cannot be reached.
        """
        self._producer = make_producer(self._settings)
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            await asyncio.wait_for(self._producer.stop(), self._settings.kafka_request_timeout_ms / 1000)
            self._producer = None

    async def reach(self) -> None:
        """Return when Kafka answers: a record that is sent now is not left waiting for it to come back.

        Raises:
            KafkaError: it does not. Where it hangs this waits; the caller sets the time limit.
        """
        await self._started().client.fetch_all_metadata()

    async def send_event(self, event: MixEvent) -> None:
        """Append a fact to the log of its mix."""
        await self.send(MIX_EVENTS.name, event.mix_id.encode(), encode(event), wrap(event, self._role))

    async def send_tasks(self, tasks: Sequence[ClipTask]) -> None:
        """Queue attempts; returns when all of them are acknowledged."""
        await asyncio.gather(
            *(
                self.send(CLIP_TASKS.name, task.key.encode(), encode(task), wrap(task, self._role))
                for task in tasks
            )
        )

    async def put_aside(self, record: Record, why: Poison, group: str) -> None:
        """Send a record to the dead letters, its bytes untouched."""
        letter = dead_letter(
            record.ref,
            record.key,
            record.value,
            record.headers,
            why,
            timestamp_ms=record.timestamp_ms,
            group=group,
        )
        await self.send(DEAD_LETTERS.name, letter.key, letter.value, letter.headers)
        metrics.DEAD_LETTERS.labels(record.ref.topic).inc()
        log.warning("kafka.dead_letter", record=str(record.ref), error=why.error)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | Iterable[tuple[str, bytes]] = (),
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordRef:
        """Send one record and wait until it is acknowledged; says where it stands."""
        producer = self._started()
        async for attempt in stamina.retry_context(
            on=self._may_pass, attempts=None, timeout=None, wait_max=MAX_RETRY_WAIT_S
        ):
            with attempt:
                sent = await producer.send_and_wait(
                    topic, value, key, partition=partition, timestamp_ms=timestamp_ms, headers=list(headers)
                )
        return RecordRef(topic, sent.partition, sent.offset)

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("the writer has not been started")
        return self._producer

    def _may_pass(self, error: Exception) -> bool:
        if isinstance(error, MessageSizeTooLargeError):
            return False
        if isinstance(error, KafkaError | OSError):
            self._refused_at = time.monotonic()
            log.warning("kafka.send_retried", error=str(error) or type(error).__name__)
            return True
        return False


@asynccontextmanager
async def open_writer(settings: Settings, role: str) -> AsyncIterator[Writer]:
    """A connected writer.

    Raises:
        KafkaError: Kafka cannot be reached.
    """
    writer = Writer(settings, role)
    await writer.start()
    try:
        yield writer
    finally:
        with suppress(TimeoutError):
            await writer.stop()
