"""The tables that users may rely on: every column with its type and its meaning. Times are UTC."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One public table; `columns` are (name, DuckDB type, meaning with its unit)."""

    name: str
    meaning: str
    columns: tuple[tuple[str, str, str], ...]


RENDER_JOBS = Table(
    "render_jobs",
    "one row for each mix that was accepted, or only ever rejected",
    (
        ("id", "VARCHAR", "the mix_id"),
        ("status", "VARCHAR", "rendering, rendered, failed, cancelled or rejected"),
        ("submitted_at", "TIMESTAMP", "when the request of the newest revision came in"),
        ("finished_at", "TIMESTAMP", "when it was rendered, failed, cancelled or rejected; null before"),
        ("revision", "BIGINT", "newest accepted revision, from 1; null when rejected"),
        ("output_uri", "VARCHAR", "where the video is; null unless rendered"),
        ("output_sha256", "VARCHAR", "SHA-256 of the video, hex"),
        ("output_bytes", "BIGINT", "size of the video, bytes"),
        ("output_frames", "BIGINT", "length of the video, frames"),
        ("output_duration_ms", "BIGINT", "length of the video, ms"),
        ("total_lines", "BIGINT", "lines of the newest revision, with or without an outcome yet"),
        ("reason", "VARCHAR", "why it failed or was cancelled; the first error's code when rejected"),
        ("message", "VARCHAR", "the same in words"),
        ("trace_id", "VARCHAR", "W3C trace id, 32 hex digits"),
        ("metrics", "JSON", "the row of clip_stats under $.render.clip_stats"),
    ),
)

CLIP_STATS = Table(
    "clip_stats",
    "one row for each mix of render_jobs: the roll-up of its newest revision, from all events in the log",
    (
        ("mix_id", "VARCHAR", "the mix"),
        ("total_clips", "BIGINT", "lines with an outcome"),
        ("completed_tasks", "BIGINT", "lines with a clip cut from a candidate"),
        ("placeholder_tasks", "BIGINT", "lines with a placeholder"),
        ("failed_tasks", "BIGINT", "lines where at least one attempt was made and no candidate could be cut"),
        ("attempts", "BIGINT", "all attempts, failed ones too, each counted once"),
        ("retries", "BIGINT", "attempts less distinct (line, candidate) tried"),
        (
            "peak_parallelism",
            "BIGINT",
            "most attempts in progress at one moment, each over [started, max(finished, started + 1 ms))",
        ),
        ("avg_clip_duration_ms", "BIGINT", "mean of successful attempts, half up, ms; null without one"),
        ("p95_clip_duration_ms", "BIGINT", "95th percentile of them, nearest rank, ms; null without one"),
        ("fallback_reason_counts", "JSON", "placeholders by fallback_reason; only reasons that occurred"),
        ("per_video", "JSON", "attempts, completed and failed by video_id"),
        ("config_versions", "BIGINT[]", "sorted versions of render-config that events name; -1: default"),
    ),
)

CLIPS = Table(
    "clips",
    "one row for each line of a mix's newest revision",
    (
        ("mix_id", "VARCHAR", "the mix"),
        ("clip_index", "BIGINT", "position of the line, from 0"),
        ("line_id", "VARCHAR", "the line's own name"),
        ("clip_task_id", "VARCHAR", "the order to make its clip"),
        ("text", "VARCHAR", "the lyric"),
        ("start_ms", "BIGINT", "first moment of the line, ms on the picture's clock"),
        ("end_ms", "BIGINT", "end of the line, ms on the picture's clock"),
        ("start_frame", "BIGINT", "first frame of the mix that shows it, from 0"),
        ("frames", "BIGINT", "frames of the clip, its extension into the gap included"),
        ("outcome", "VARCHAR", "completed or placeholder; null while the line is in work"),
        ("fallback_reason", "VARCHAR", "why it is a placeholder"),
        ("video_id", "VARCHAR", "the source video shown; null for a placeholder"),
        ("candidate_index", "BIGINT", "which candidate is shown, from 0"),
        ("attempt", "BIGINT", "which try at that candidate it took, from 1"),
        ("attempts", "BIGINT", "attempts at this line, failed ones too"),
        ("worker", "VARCHAR", "who made the outcome"),
        ("parallel_slot", "BIGINT", "slot of that worker, from 0"),
        ("started_at", "TIMESTAMP", "when the successful attempt took its slot; null for a placeholder"),
        ("finished_at", "TIMESTAMP", "when the outcome was there"),
        ("duration_ms", "BIGINT", "time of the successful attempt, ms"),
        ("config_version", "BIGINT", "render-config in force; -1 is the built-in default"),
        ("uri", "VARCHAR", "where the clip is"),
        ("sha256", "VARCHAR", "SHA-256 of the clip, hex"),
        ("bytes", "BIGINT", "size of the clip, bytes; null for a placeholder"),
        ("method", "VARCHAR", "how it was cut"),
        ("isolation", "VARCHAR", "what the cutter was shut in by"),
        ("first_source_ms", "BIGINT", "source time of the first frame shown, ms"),
        ("last_source_ms", "BIGINT", "source time of the last frame shown, ms"),
    ),
)

ATTEMPTS = Table(
    "attempts",
    "one row for each attempt at a candidate, failed ones too; one logged twice counts once, as first logged",
    (
        ("mix_id", "VARCHAR", "the mix"),
        ("clip_task_id", "VARCHAR", "the order to make the line's clip"),
        ("clip_index", "BIGINT", "position of the line, from 0"),
        ("video_id", "VARCHAR", "the source video tried"),
        ("candidate_index", "BIGINT", "which candidate, from 0"),
        ("attempt", "BIGINT", "which try at that candidate, from 1"),
        ("outcome", "VARCHAR", "completed or failed"),
        ("reason", "VARCHAR", "why it failed"),
        ("error", "VARCHAR", "the same in words"),
        ("retryable", "BOOLEAN", "whether the failure may pass"),
        ("worker", "VARCHAR", "who tried"),
        ("parallel_slot", "BIGINT", "slot of that worker, from 0"),
        ("started_at", "TIMESTAMP", "when it took its slot"),
        ("finished_at", "TIMESTAMP", "when it ended"),
        ("duration_ms", "BIGINT", "finished less started, ms"),
        ("config_version", "BIGINT", "render-config in force; -1 is the built-in default"),
        (
            "effective",
            "BOOLEAN",
            "whether the line stands in the mix's newest revision, and so in clip_stats",
        ),
        ("kafka_partition", "INTEGER", "partition of mix-events"),
        ("kafka_offset", "BIGINT", "offset of the event there"),
    ),
)

EVENTS = Table(
    "events",
    "one row for each record of mix-events and render-config, the unreadable ones too",
    (
        ("topic", "VARCHAR", "topic of the record"),
        ("kafka_partition", "INTEGER", "its partition"),
        ("kafka_offset", "BIGINT", "its offset there"),
        ("type", "VARCHAR", "type of the event; null for a config or an unreadable record"),
        ("occurred_at", "TIMESTAMP", "when it happened (at_ms), else when it was logged"),
        ("logged_at", "TIMESTAMP", "the record's Kafka timestamp"),
        ("record_key", "VARCHAR", "the record's key; bytes that are no UTF-8 are written as escapes"),
        ("event_id", "VARCHAR", "the same when the event is sent again"),
        ("mix_id", "VARCHAR", "the mix it belongs to"),
        ("trace_id", "VARCHAR", "W3C trace id"),
        ("actor", "VARCHAR", "who sent it, when its header `actor` says so"),
        (
            "problem",
            "VARCHAR",
            "why nothing follows from it: tombstone, not_json, newer_version, unknown_type, malformed",
        ),
        ("value", "JSON", "the record's value; null when it is no JSON object"),
        ("raw", "BLOB", "the value's bytes when it is no JSON object"),
    ),
)

CONFIG_HISTORY = Table(
    "config_history",
    "one row for each record of render-config that was to change something and was seen (the topic is "
    "compacted: a rebuild sees fewer)",
    (
        ("config_version", "BIGINT", "offset of the record"),
        ("changed_at", "TIMESTAMP", "the record's Kafka timestamp"),
        ("actor", "VARCHAR", "name of a token, api, cli or serve; kcat when the record names nobody"),
        ("valid", "BOOLEAN", "whether it came into force; a record that is wrong or late changes nothing"),
        ("error", "VARCHAR", "why it did not"),
        ("config", "JSON", "the whole config after it; before the first record: the built-in default"),
        ("changes", "JSON", "field: [old, new], for each field that it changed"),
    ),
)

SNAPSHOT_INFO = Table(
    "snapshot_info",
    "one row for each partition: how far into the log this snapshot goes",
    (
        ("topic", "VARCHAR", "topic"),
        ("kafka_partition", "INTEGER", "partition"),
        ("next_offset", "BIGINT", "every record before this offset is in the snapshot"),
        ("end_offset", "BIGINT", "end of the partition as last known"),
        ("lag", "BIGINT", "records known and not yet in the snapshot"),
        ("published_at", "TIMESTAMP", "when this snapshot was made"),
    ),
)

PUBLIC_TABLES = (RENDER_JOBS, CLIP_STATS, CLIPS, ATTEMPTS, EVENTS, CONFIG_HISTORY, SNAPSHOT_INFO)
