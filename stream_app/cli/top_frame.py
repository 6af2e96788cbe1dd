"""What `clipfold top` shows at one moment."""

from dataclasses import asdict, dataclass
from typing import Any

from stream_app.clock import now_ms
from stream_app.domain.config import ConfigInForce
from stream_app.domain.overview import MixEnded, MixInWork
from stream_app.kafka.clients import CLIENT_ID, bootstrap_servers
from stream_app.kafka.groups import GroupStanding
from stream_app.kafka.system_watch import SystemWatch
from stream_app.settings import Settings
from topics.groups import ASSEMBLER_GROUP, CUTTER_GROUP, INTAKE_GROUP
from topics.registry import CLIP_TASKS, MIX_EVENTS, MIX_REQUESTS

GROUPS = {INTAKE_GROUP: MIX_REQUESTS, CUTTER_GROUP: CLIP_TASKS, ASSEMBLER_GROUP: MIX_EVENTS}


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker: a member of the cutters' group, or one that was heard of in the last minute.

    Attributes:
        worker: its name in events and logs.
        host: where it runs; None when it has left the group.
        partitions: of `clip-tasks` that it owns.
        slots_used: slots in which attempts ended in the last seconds.
        attempts: that ended in the last minute.
        failures: those of them that failed.
        last_event_at_ms: when it was heard of; None when not in the last minute.
    """

    worker: str
    host: str | None
    partitions: int
    slots_used: int
    attempts: int
    failures: int
    last_event_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Frame:
    """All that is shown.

    `is_whole` is false while the log that was there before is still being read.
    """

    at_ms: int
    kafka: str
    is_whole: bool
    config: ConfigInForce
    workers: list[Worker]
    mixes: list[MixInWork]
    ended: list[MixEnded]
    groups: list[GroupStanding]

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        told = asdict(self) | {
            "config": {"config_version": self.config.version, **self.config.config.model_dump()}
        }
        for group in told["groups"]:
            group["members"] = len(group["members"])
        return told


def watch_system(settings: Settings) -> SystemWatch:
    """What `look` asks."""
    return SystemWatch(settings, GROUPS, ASSEMBLER_GROUP)


async def look(watch: SystemWatch, settings: Settings, *, within_s: float) -> Frame:
    """How things are now; of the log so much is read as that time allows.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka is away.
    """
    groups = await watch.groups()
    is_whole = await watch.catch_up(within_s)
    now = now_ms()
    return Frame(
        at_ms=now,
        kafka=bootstrap_servers(settings),
        is_whole=is_whole,
        config=watch.config,
        workers=_workers(watch, groups, now),
        mixes=watch.overview.mixes(now),
        ended=watch.overview.ended(),
        groups=groups,
    )


def _workers(watch: SystemWatch, groups: list[GroupStanding], now: int) -> list[Worker]:
    seen = {worker.worker: worker for worker in watch.overview.workers(now)}
    members = {
        member.client_id.removeprefix(f"{CLIENT_ID}-"): member
        for group in groups
        if group.group == CUTTER_GROUP
        for member in group.members
    }
    workers = []
    for name in sorted(seen.keys() | members.keys()):
        member, heard = members.get(name), seen.get(name)
        workers.append(
            Worker(
                worker=name,
                host=member.host if member else None,
                partitions=member.partitions if member else 0,
                slots_used=heard.slots_used if heard else 0,
                attempts=heard.attempts if heard else 0,
                failures=heard.failures if heard else 0,
                last_event_at_ms=heard.last_event_at_ms if heard else None,
            )
        )
    return workers
