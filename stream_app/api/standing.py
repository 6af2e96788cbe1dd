"""Where a mix stands: by the snapshot where that will do, by the end of the log where it must be exact."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from stream_app.api.parts import Parts, kafka_in_time, unavailable
from stream_app.api.problems import Problem
from stream_app.api.views import Figures, MixDetails, MixSummary, Progress, Video
from stream_app.domain.errors import OwnFaultError
from stream_app.domain.mix import Mix
from stream_app.kafka.partitioning import home_partition
from topics.events import MixRejected, MixRendered
from topics.ids import RecordRef
from topics.registry import MIX_EVENTS, MIX_REQUESTS

FOLD_TIMEOUT_S = 5.0
"""The projection is a fraction of a second behind the log; after so long it is folding anew."""

NEWER_TIMEOUT_S = 1.0
"""While Kafka is away, what the snapshot has is told after so long."""

UNSETTLED = {"rendering", "rejected"}
"""What a mix may have left behind since the snapshot was made: the first whenever it ends."""

MIX_COLUMNS = """
    id, status, revision, epoch_ms(submitted_at) AS submitted_at_ms, epoch_ms(finished_at) AS finished_at_ms,
    total_lines, clip_stats.total_clips, clip_stats.placeholder_tasks, output_uri, output_sha256,
    output_bytes, output_frames, output_duration_ms, reason, message, trace_id
FROM render_jobs LEFT JOIN clip_stats ON clip_stats.mix_id = id
"""
_ONE_MIX = f"SELECT metrics, {MIX_COLUMNS} WHERE id = $mix_id"


@dataclass(frozen=True, slots=True)
class Standing:
    """A mix at the end of the log.

    Attributes:
        mix: its newest plan and its end, but none of its clips; no plan when it was never accepted.
        requests: its newest requests that were not rejected, oldest first, decided on or not.
        rejected: the first rejection of a request for it.
    """

    mix: Mix
    requests: tuple[RecordRef, ...]
    rejected: MixRejected | None

    @property
    def is_known(self) -> bool:
        """Whether anybody has ever asked for it."""
        return bool(self.mix.accepted or self.requests or self.rejected)

    @property
    def undecided(self) -> frozenset[RecordRef]:
        """Requests that stand in Kafka behind those that made the mix what it is.

        One of them may be there that was decided on without any effect: no event tells of such a one.
        """
        causes = (each.caused_by for each in (self.mix.accepted, self.mix.end) if each)
        return undecided_after(causes, self.requests)


def undecided_after(causes: Iterable[str], requests: Iterable[RecordRef]) -> frozenset[RecordRef]:
    """Those of `requests` behind the ones that events name as their causes: they are decided on in order."""
    decided: dict[int, int] = {}
    for cause in causes:
        try:
            ref = RecordRef.parse(cause)
        except ValueError:  # nothing that we wrote
            continue
        if ref.topic == MIX_REQUESTS.name:
            decided[ref.partition] = max(ref.offset, decided.get(ref.partition, -1))
    return frozenset(ref for ref in requests if ref.offset > decided.get(ref.partition, -1))


async def standing_of(parts: Parts, mix_id: str) -> Standing:
    """Where a mix stands now, whatever was acknowledged before included.

    First the requests, then the events: a request decided on between the two is seen in one of them.

    Raises:
        Problem: 503, because Kafka is away or the projection is far behind.
        OwnFaultError: the projection cannot be read now.
    """
    async with kafka_in_time():
        requests = await parts.requests.requests_of(mix_id)
        place = TopicPartition(MIX_EVENTS.name, home_partition(mix_id))
        end = await parts.ends.end_of(place)
    try:
        async with asyncio.timeout(FOLD_TIMEOUT_S):
            story = await parts.projection.story(mix_id, place=place, end=end)
    except TimeoutError as error:
        detail = f"the projection is {parts.projection.lag} records behind the log: ask again later"
        raise unavailable(detail) from error
    waiting = tuple(ref for ref in requests if str(ref) not in story.rejected)
    return Standing(story.mix, waiting, next(iter(story.rejected.values()), None))


async def row_of(parts: Parts, mix_id: str) -> Mapping[str, Any] | None:
    """What the snapshot has of a mix: `MIX_COLUMNS` and `metrics`."""
    rows = await parts.snapshot.rows(_ONE_MIX, {"mix_id": mix_id})
    return rows[0] if rows else None


async def details_of(parts: Parts, mix_id: str) -> MixDetails:
    """A mix by the snapshot, or by the end of the log where the snapshot has not got to it.

    Raises:
        Problem: 404, because nobody has ever asked for it; 503 when that cannot be told now.
    """
    row = await row_of(parts, mix_id)
    if row is not None:
        standing = await _newer_than(row, parts)
        return _not_in_snapshot(mix_id, standing) if standing else _details(row)
    standing = await standing_of(parts, mix_id)
    if not standing.is_known:
        raise no_such_mix(mix_id)
    return _not_in_snapshot(mix_id, standing)


async def rendered_of(parts: Parts, mix_id: str) -> tuple[str, str]:
    """Address and sha256 of the video of a mix.

    Raises:
        Problem: 404, because there is none; 503 when that cannot be told now.
    """
    row = await row_of(parts, mix_id)
    if row is not None and row["status"] == "rendered":
        return row["output_uri"] or "", row["output_sha256"] or ""
    end = (await standing_of(parts, mix_id)).mix.end
    if isinstance(end, MixRendered):
        return end.uri, end.sha256
    status = (await details_of(parts, mix_id)).status
    raise Problem(404, f"{mix_id} is {status}: there is no video to fetch")


async def _newer_than(row: Mapping[str, Any], parts: Parts) -> Standing | None:
    """Where an unsettled mix stands, when that is more than the snapshot has and Kafka is quick to tell."""
    if row["status"] not in UNSETTLED:
        return None
    try:
        async with asyncio.timeout(NEWER_TIMEOUT_S):
            standing = await standing_of(parts, row["id"])
    except (TimeoutError, Problem, OwnFaultError):
        return None
    accepted = standing.mix.accepted
    if accepted is None:
        return standing if standing.requests else None
    return standing if standing.mix.end or accepted.revision != row["revision"] else None


def no_such_mix(mix_id: str) -> Problem:
    """Nobody has ever asked for the mix: 404."""
    return Problem(404, f"no mix {mix_id} was ever asked for")


def summary(row: Mapping[str, Any]) -> MixSummary:
    """A mix from its `MIX_COLUMNS`."""
    return MixSummary(**_common(row))


def _details(row: Mapping[str, Any]) -> MixDetails:
    figures = json.loads(row["metrics"])["render"]["clip_stats"]
    stats = Figures.model_validate(figures) if row["revision"] is not None else None
    return MixDetails(**_common(row), clip_stats=stats)


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("status", "revision", "submitted_at_ms", "finished_at_ms", "reason", "message", "trace_id")
    return {
        **{name: row[name] for name in names},
        "mix_id": row["id"],
        "progress": _progress(row) if row["revision"] is not None else None,
        "video": _video(row) if row["status"] == "rendered" else None,
    }


def _progress(row: Mapping[str, Any]) -> Progress:
    return Progress(total=row["total_lines"], done=row["total_clips"], placeholders=row["placeholder_tasks"])


def _video(row: Mapping[str, Any]) -> Video:
    figures = {name: row[f"output_{name}"] for name in ("sha256", "bytes", "frames", "duration_ms")}
    return Video(href=video_href(row["id"]), **figures)


def _not_in_snapshot(mix_id: str, standing: Standing) -> MixDetails:
    """What the log tells of a mix that is too new for the snapshot, whose clips may not be counted yet."""
    accepted, end = standing.mix.accepted, standing.mix.end
    if accepted is None and standing.rejected and not standing.requests:
        return _rejected(standing.rejected)
    if accepted is None:
        return MixDetails(
            mix_id=mix_id, status="queued", revision=None, requests=list(map(str, standing.requests))
        )
    told = {
        "mix_id": mix_id,
        "revision": accepted.revision,
        "submitted_at_ms": accepted.submitted_at_ms,
        "trace_id": accepted.trace_id,
    }
    if end is None:
        progress = Progress(total=accepted.total_clips, done=0, placeholders=0)
        return MixDetails(**told, status="rendering", progress=progress)
    if isinstance(end, MixRendered):
        stats = end.clip_stats
        return MixDetails(
            **told,
            status="rendered",
            finished_at_ms=end.at_ms,
            progress=Progress(
                total=accepted.total_clips, done=stats.total_clips, placeholders=stats.placeholder_tasks
            ),
            video=Video(
                href=video_href(mix_id), **end.model_dump(include=set(Video.model_fields) - {"href"})
            ),
            clip_stats=Figures.model_validate(stats.model_dump(mode="json")),
        )
    return MixDetails(
        **told,
        status="failed" if end.type == "mix-failed" else "cancelled",
        finished_at_ms=end.at_ms,
        reason=end.reason,
        message=end.message,
    )


def _rejected(event: MixRejected) -> MixDetails:
    first = event.errors[0] if event.errors else None
    return MixDetails(
        mix_id=event.mix_id,
        status="rejected",
        revision=None,
        submitted_at_ms=event.submitted_at_ms,
        finished_at_ms=event.at_ms,
        reason=first.code if first else None,
        message=first.message if first else None,
        trace_id=event.trace_id,
    )


def mix_href(mix_id: str) -> str:
    """Where a mix is told of."""
    return f"/api/v1/mixes/{mix_id}"


def video_href(mix_id: str) -> str:
    """Where its video is fetched from."""
    return f"{mix_href(mix_id)}/video"
