"""The assembler: folds the events of every mix and joins those whose lines all have their outcome.

It keeps no store. A record counts as done only when its mix has ended, so a restart reads the unfinished
mixes again from the log, and nothing else.
"""

import asyncio
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from stream_app.assembly.job_dir import JobDirs
from stream_app.assembly.joiner import Joiner
from stream_app.domain.mix import Mix
from stream_app.file_uri import path_of
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.writer import Writer
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_event
from topics.events import AnyMixEvent, ClipCompleted, ClipPlaceholder, MixAccepted, MixRendered

GROUP = "clipfold-assembler"

log = get_logger()


@dataclass(eq=False, slots=True)
class _InWork:
    """A mix that has not ended, and the records that must be read again if we stop before it has."""

    partition: TopicPartition
    mix: Mix = field(default_factory=Mix)
    deliveries: list[Delivery] = field(default_factory=list)
    joining: asyncio.Task[None] | None = None


class Assembler:
    """The work of the assembler group."""

    def __init__(self, joiner: Joiner, writer: Writer, job_dirs: JobDirs) -> None:
        self._joiner = joiner
        self._writer = writer
        self._job_dirs = job_dirs
        self._in_work: dict[str, _InWork] = {}

    def deliver(self, delivery: Delivery) -> None:
        """Fold the next event into its mix, and do what has become possible."""
        event = read_event(delivery.record.value)
        if isinstance(event, Poison | Tombstone):
            # The log is ours to write and kept for ever: what cannot be read stays there for a newer version.
            log.warning("assembler.event_skipped", record=str(delivery.record.ref), error=str(event))
            delivery.finish()
        elif event.mix_id not in self._in_work and not isinstance(event, MixAccepted):
            # A mix is accepted before anything else of it: one that is not in work has ended, or never began.
            delivery.finish()
        else:
            self._fold(delivery, event)

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget the mixes of these partitions; their next owner reads them again and joins them."""
        lost = {mix_id: work for mix_id, work in self._in_work.items() if work.partition in partitions}
        for mix_id, work in lost.items():
            if work.joining is not None:
                work.joining.cancel()
            del self._in_work[mix_id]
        joins = [work.joining for work in lost.values() if work.joining]
        await asyncio.gather(*joins, return_exceptions=True)

    def _fold(self, delivery: Delivery, event: AnyMixEvent) -> None:
        work = self._in_work.setdefault(event.mix_id, _InWork(delivery.partition))
        work.deliveries.append(delivery)
        work.mix.apply(event)
        if isinstance(event, ClipCompleted | ClipPlaceholder):
            self._job_dirs.link(event.mix_id, event.clip_index, path_of(event.uri))
        if work.mix.end is not None:
            self._conclude(event.mix_id, work)
        elif work.mix.is_ready and work.joining is None:
            work.joining = asyncio.create_task(self._join(work), name=f"join {event.mix_id}")

    def _conclude(self, mix_id: str, work: _InWork) -> None:
        if work.joining is not None:
            work.joining.cancel()
        end = work.mix.end
        if isinstance(end, MixRendered):
            log.info(
                "render_worker.clip_stats",
                mix_id=mix_id,
                trace_id=end.trace_id,
                revision=end.revision,
                uri=end.uri,
                frames=end.frames,
                **end.clip_stats.model_dump(mode="json"),
            )
        elif end is not None:
            log.warning("render_worker.mix_ended", mix_id=mix_id, trace_id=end.trace_id, result=end.type)
        if end is not None:
            metrics.MIXES_ENDED.labels(end.type).inc()
        self._job_dirs.remove(mix_id)
        del self._in_work[mix_id]
        for delivery in work.deliveries:
            delivery.finish()

    async def _join(self, work: _InWork) -> None:
        """Make the video and say so in the log; the mix ends when that event is read back from there."""
        end = await self._joiner.join(work.mix, work.deliveries[-1].record.ref)
        await self._writer.send_event(end)
