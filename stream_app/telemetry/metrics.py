"""Every metric, in one place. Durations are in ms, as the names that users rely on say.

Labels are few and small: never a mix, a clip or an address.
"""

from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram, Info

CLIP_INFLIGHT = Gauge("render_clip_inflight", "attempts in progress", ["worker"])
CLIP_DURATION_MS = Histogram(
    "render_clip_duration_ms",
    "time of successful attempts, in ms",
    buckets=(50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000),
)
CLIP_FAILURES = Counter("render_clip_failures", "failed attempts", ["reason"])
CLIP_PLACEHOLDERS = Counter("render_clip_placeholder", "lines that got a placeholder", ["reason"])
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

TASKS_WAITING = Gauge("render_tasks_waiting", "tasks delivered to this worker that wait for a slot")
SLOTS = Gauge("render_slots", "slots of this worker (max_parallelism in force)")
LAG = Gauge("render_consumer_lag", "records of owned partitions that are not done yet", ["group"])
PROJECTION_LAG = Gauge("render_projection_lag", "records that the projection has not folded yet")
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
