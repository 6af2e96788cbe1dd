-- Understand the records that came in since the last roll-up: each becomes an event, and facts where something
-- follows from it. Variable `round` numbers this roll-up.

CREATE OR REPLACE TEMP TABLE arrived AS
WITH checked AS (
    -- What Python reads as JSON and DuckDB does not is kept as bytes.
    SELECT * EXCLUDE (json) REPLACE (
        json AS value, CASE WHEN json IS NULL THEN coalesce(raw, encode(value)) END AS raw
    )
    FROM (SELECT *, TRY_CAST(value AS JSON) AS json FROM fold.incoming)
),
parsed AS (
    -- Flat: of a struct, every field would be read wherever one is asked for.
    SELECT *, unnest(json_transform(value, '{
        "type": "VARCHAR", "event_id": "VARCHAR", "mix_id": "VARCHAR", "trace_id": "VARCHAR",
        "at_ms": "BIGINT", "submitted_at_ms": "BIGINT", "revision": "BIGINT", "config_version": "BIGINT",
        "clip_task_id": "VARCHAR", "clip_index": "BIGINT", "video_id": "VARCHAR",
        "candidate_index": "BIGINT", "attempt": "BIGINT", "worker": "VARCHAR", "parallel_slot": "BIGINT",
        "started_at_ms": "BIGINT", "finished_at_ms": "BIGINT", "reason": "VARCHAR", "error": "VARCHAR",
        "retryable": "BOOLEAN", "fallback_reason": "VARCHAR", "message": "VARCHAR", "uri": "VARCHAR",
        "sha256": "VARCHAR", "bytes": "BIGINT", "frames": "BIGINT", "duration_ms": "BIGINT",
        "method": "VARCHAR", "isolation": "VARCHAR", "first_source_ms": "BIGINT", "last_source_ms": "BIGINT"
    }'))
    FROM checked
)
SELECT
    *,
    CASE
        WHEN value IS NULL AND raw IS NULL THEN 'tombstone'
        WHEN value IS NULL THEN 'not_json'
        WHEN topic = 'render-config' THEN NULL
        WHEN newer_version THEN 'newer_version'
        WHEN mix_id IS NULL OR NOT coalesce(at_ms BETWEEN 0 AND 253402300799999, false) THEN
            CASE WHEN type IN (
                'mix-accepted', 'mix-rejected', 'clip-attempt-failed', 'clip-completed', 'clip-placeholder',
                'mix-rendered', 'mix-failed', 'mix-cancelled'
            ) THEN 'malformed' ELSE 'unknown_type' END
        WHEN type = 'mix-accepted' THEN
            CASE WHEN revision >= 1
                AND submitted_at_ms BETWEEN 0 AND 253402300799999
                AND json_type(value, '$.lines') = 'ARRAY'
            THEN NULL ELSE 'malformed' END
        WHEN type IN ('clip-completed', 'clip-attempt-failed') THEN
            CASE WHEN clip_task_id IS NOT NULL AND video_id IS NOT NULL
                AND candidate_index >= 0 AND attempt >= 1
                AND started_at_ms BETWEEN 0 AND 253402300799999
                AND finished_at_ms BETWEEN 0 AND 253402300799999
                AND (type = 'clip-completed' OR reason IS NOT NULL)
            THEN NULL ELSE 'malformed' END
        WHEN type = 'clip-placeholder' THEN
            CASE WHEN clip_task_id IS NOT NULL AND fallback_reason IS NOT NULL
            THEN NULL ELSE 'malformed' END
        WHEN type = 'mix-rendered' THEN
            CASE WHEN revision >= 1 THEN NULL ELSE 'malformed' END
        WHEN type IN ('mix-rejected', 'mix-failed', 'mix-cancelled') THEN NULL
        ELSE 'unknown_type'
    END AS problem
FROM parsed;

INSERT INTO events BY NAME
SELECT
    topic, kafka_partition, kafka_offset, record_key, actor, problem, value, raw,
    type, event_id, mix_id, trace_id,
    -- A time beyond the year 9999 is no time; epoch_ms would refuse it.
    epoch_ms(coalesce(
        CASE WHEN at_ms BETWEEN 0 AND 253402300799999 THEN at_ms END, logged_at_ms
    )) AS occurred_at,
    epoch_ms(logged_at_ms) AS logged_at
FROM arrived;

INSERT INTO fold.config_records
SELECT kafka_offset, logged_at_ms, actor, config_headers, coalesce(raw, encode(value::VARCHAR))
FROM arrived
WHERE topic = 'render-config' AND record_key = 'render';

CREATE OR REPLACE TEMP VIEW useful AS
SELECT getvariable('round') AS round, * FROM arrived
WHERE problem IS NULL AND topic = 'mix-events';

INSERT INTO fold.mix_facts
SELECT
    round, mix_id, kafka_partition, kafka_offset, type, at_ms,
    CASE WHEN submitted_at_ms BETWEEN 0 AND 253402300799999 THEN submitted_at_ms END,
    revision, trace_id, uri, sha256, bytes, frames, duration_ms,
    CASE type WHEN 'mix-rejected' THEN value ->> '$.errors[0].code' ELSE reason END,
    CASE type WHEN 'mix-rejected' THEN value ->> '$.errors[0].message' ELSE message END
FROM useful
WHERE type LIKE 'mix-%';

INSERT INTO fold.line_facts
SELECT
    round, mix_id, kafka_partition, kafka_offset, line.line_id, line.clip_task_id, line.clip_index,
    line.start_frame, line.frames, line.extend_frames, line.text, line.start_ms, line.end_ms
FROM (
    SELECT round, mix_id AS mix_id, kafka_partition, kafka_offset, unnest(json_transform(value -> '$.lines', '[{
        "line_id": "VARCHAR", "clip_task_id": "VARCHAR", "clip_index": "BIGINT", "start_frame": "BIGINT",
        "frames": "BIGINT", "extend_frames": "BIGINT", "text": "VARCHAR", "start_ms": "BIGINT",
        "end_ms": "BIGINT"
    }]')) AS line
    FROM useful
    WHERE type = 'mix-accepted'
)
WHERE line.clip_task_id IS NOT NULL;

INSERT INTO fold.clip_facts
SELECT
    round, mix_id, kafka_partition, kafka_offset, type, at_ms,
    clip_task_id, clip_index, video_id, candidate_index, attempt,
    coalesce(fallback_reason, reason), error, retryable, worker,
    parallel_slot, started_at_ms, finished_at_ms, config_version, uri,
    sha256, bytes, method, isolation, first_source_ms, last_source_ms
FROM useful
WHERE type LIKE 'clip-%';

INSERT INTO fold.mixes
SELECT DISTINCT mix_id, getvariable('round')
FROM useful
WHERE mix_id NOT IN (SELECT mix_id FROM fold.mixes);
