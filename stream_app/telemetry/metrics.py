"""Every metric, in one place. Durations are in ms, as the names that users rely on say.

Labels are few and small: never a mix, a clip or an address. A counter whose labels are known beforehand
starts at 0 for each of them: Prometheus sees no increase in a series that is first seen at 1.
"""

import shutil
from importlib.metadata import version
from math import nan
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, Info

from topics.reasons import FallbackReason
from topics.registry import TOPICS

CLIP_INFLIGHT = Gauge("render_clip_inflight", "attempts in progress", ["worker"])
CLIP_DURATION_MS = Histogram(
    "render_clip_duration_ms",
    "time of successful attempts, in ms",
    buckets=(50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000),
)
CLIP_FAILURES = Counter("render_clip_failures", "failed attempts", ["reason"])
CLIP_PLACEHOLDERS = Counter("render_clip_placeholder", "lines that got a placeholder", ["reason"])
ATTEMPTS_CRASHED = Counter("render_attempts_crashed", "attempts that a fault in the program ended")
CLIPS_RECALLED = Counter("render_clip_recalled", "clips that were in the store already")
CONFIG_UPDATES = Counter("render_config_update", "render configs that came into force")
CONFIG_REFUSED = Counter("render_config_refused", "records of render-config that changed nothing")

FETCH_BYTES = Counter("render_fetch_bytes", "bytes of sources that were fetched")
FETCH_DURATION_MS = Histogram(
    "render_fetch_duration_ms",
    "time of successful answers of sources' servers, to their last byte, in ms",
    buckets=(10, 50, 100, 250, 500, 1000, 2500, 5000, 15_000, 60_000, 300_000),
)
FETCH_FAILURES = Counter(
    "render_fetch_failures", "answers of servers of sources that were of no use", ["reason"]
)
SOURCE_CACHE = Counter("render_source_cache", "asks of the cache of fetched sources", ["result"])
SOURCE_CACHE_BYTES = Gauge("render_source_cache_bytes", "bytes of fetched sources that are kept")
BREAKERS_OPEN = Gauge("render_breakers_open", "hosts that are left alone for a while")

PAUSED = Gauge("render_paused", "works that wait until a fault of our own side is over", ["part"])
DISK_FREE_BYTES = Gauge("render_disk_free_bytes", "bytes that may still be written to the artifacts' disk")
DISK_SIZE_BYTES = Gauge("render_disk_size_bytes", "bytes that the artifacts' disk holds in all")

TASKS_WAITING = Gauge("render_tasks_waiting", "tasks delivered to this worker that wait for a slot")
SLOTS = Gauge("render_slots", "slots of this worker (max_parallelism in force)")
LAG = Gauge("render_consumer_lag", "records of owned partitions that are not done yet", ["group"])
PROJECTION_LAG = Gauge("render_projection_lag", "records that the projection has not folded yet")
PROJECTION_FAILURES = Counter("render_projection_failures", "times that the projection was interrupted")
COMMITS = Counter("render_commits", "offset commits", ["group"])
COMMIT_FAILURES = Counter("render_commit_failures", "offset commits that Kafka refused", ["group"])
DEAD_LETTERS = Counter("render_dead_letters", "records put aside", ["topic"])
REQUESTS = Counter("render_requests", "requests by what became of them", ["result"])
MIXES_ENDED = Counter("render_mixes_ended", "mixes that this worker ended", ["result"])
JOIN_DURATION_MS = Histogram(
    "render_join_duration_ms",
    "time of joining a mix, in ms",
    buckets=(250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000),
)

API_DURATION_MS = Histogram(
    "render_api_request_duration_ms",
    "time from a request of the API to the start of its answer, in ms",
    ["method", "route", "status"],
    buckets=(1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000),
)
API_STREAMS = Gauge("render_api_streams", "event streams that the API serves now")

BUILD = Info("render_build", "what runs here")
BUILD.info({"version": version("clipfold")})

for _reason in FallbackReason:
    CLIP_FAILURES.labels(_reason)
    CLIP_PLACEHOLDERS.labels(_reason)
for _reason in (
    FallbackReason.CDN_ERROR,
    FallbackReason.CDNS_UNREACHABLE,
    FallbackReason.SOURCE_REFUSED,
    FallbackReason.SOURCE_INVALID,
):
    FETCH_FAILURES.labels(_reason)
for _result in ("hit", "revalidated", "miss"):
    SOURCE_CACHE.labels(_result)
for _result in ("accepted", "rejected", "cancelled", "unchanged"):
    REQUESTS.labels(_result)
for _result in ("mix-rendered", "mix-failed", "mix-cancelled"):
    MIXES_ENDED.labels(_result)
for _part in ("cutting", "joining", "kafka"):
    PAUSED.labels(_part)
for _topic in TOPICS:
    DEAD_LETTERS.labels(_topic.name)


def watch_disk(folder: Path) -> None:
    """Measure the disk that `folder`, which need not be there yet, lies on; at each scrape anew."""
    DISK_FREE_BYTES.set_function(lambda: _disk(folder, "free"))
    DISK_SIZE_BYTES.set_function(lambda: _disk(folder, "total"))


def _disk(folder: Path, figure: str) -> float:
    """`nan`, which no alert takes for an empty disk, while it cannot be asked."""
    try:
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        return float(getattr(shutil.disk_usage(there), figure))
    except OSError:
        return nan
