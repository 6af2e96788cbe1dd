-- Understand the records that came in since the last roll-up: each becomes an event, and facts where something
-- follows from it. Variable `round` numbers this roll-up.

CREATE OR REPLACE TEMP TABLE arrived AS
WITH checked AS (
    -- What Python reads as JSON and DuckDB does not is kept as bytes.
    SELECT * REPLACE (
        TRY_CAST(value AS JSON) AS value,
        CASE WHEN json_valid(value) THEN NULL ELSE coalesce(raw, encode(value)) END AS raw
    )
    FROM fold.incoming
),
parsed AS (
    SELECT *, json_transform(value, '{
        "type": "VARCHAR", "event_id": "VARCHAR", "mix_id": "VARCHAR", "trace_id": "VARCHAR",
        "at_ms": "BIGINT", "submitted_at_ms": "BIGINT", "revision": "BIGINT", "config_version": "BIGINT",
        "clip_task_id": "VARCHAR", "clip_index": "BIGINT", "video_id": "VARCHAR",
        "candidate_index": "BIGINT", "attempt": "BIGINT", "worker": "VARCHAR", "parallel_slot": "BIGINT",
        "started_at_ms": "BIGINT", "finished_at_ms": "BIGINT", "reason": "VARCHAR", "error": "VARCHAR",
        "retryable": "BOOLEAN", "fallback_reason": "VARCHAR", "message": "VARCHAR", "uri": "VARCHAR",
        "sha256": "VARCHAR", "bytes": "BIGINT", "frames": "BIGINT", "duration_ms": "BIGINT",
        "method": "VARCHAR", "isolation": "VARCHAR", "first_source_ms": "BIGINT", "last_source_ms": "BIGINT"
    }') AS event
    FROM checked
)
SELECT
    *,
    CASE
        WHEN value IS NULL AND raw IS NULL THEN 'tombstone'
        WHEN value IS NULL THEN 'not_json'
        WHEN topic = 'render-config' THEN NULL
        WHEN newer_version THEN 'newer_version'
        WHEN event.mix_id IS NULL OR NOT coalesce(event.at_ms BETWEEN 0 AND 253402300799999, false) THEN
            CASE WHEN event.type IN (
                'mix-accepted', 'mix-rejected', 'clip-attempt-failed', 'clip-completed', 'clip-placeholder',
                'mix-rendered', 'mix-failed', 'mix-cancelled'
            ) THEN 'malformed' ELSE 'unknown_type' END
        WHEN event.type = 'mix-accepted' THEN
            CASE WHEN event.revision >= 1
                AND event.submitted_at_ms BETWEEN 0 AND 253402300799999
                AND json_type(value, '$.lines') = 'ARRAY'
            THEN NULL ELSE 'malformed' END
        WHEN event.type IN ('clip-completed', 'clip-attempt-failed') THEN
            CASE WHEN event.clip_task_id IS NOT NULL AND event.video_id IS NOT NULL
                AND event.candidate_index >= 0 AND event.attempt >= 1
                AND event.started_at_ms BETWEEN 0 AND 253402300799999
                AND event.finished_at_ms BETWEEN 0 AND 253402300799999
                AND (event.type = 'clip-completed' OR event.reason IS NOT NULL)
            THEN NULL ELSE 'malformed' END
        WHEN event.type = 'clip-placeholder' THEN
            CASE WHEN event.clip_task_id IS NOT NULL AND event.fallback_reason IS NOT NULL
            THEN NULL ELSE 'malformed' END
        WHEN event.type = 'mix-rendered' THEN
            CASE WHEN event.revision >= 1 THEN NULL ELSE 'malformed' END
        WHEN event.type IN ('mix-rejected', 'mix-failed', 'mix-cancelled') THEN NULL
        ELSE 'unknown_type'
    END AS problem
FROM parsed;

INSERT INTO events BY NAME
SELECT
    topic, kafka_partition, kafka_offset, record_key, actor, problem, value, raw,
    event.type, event.event_id, event.mix_id, event.trace_id,
    -- A time beyond the year 9999 is no time; epoch_ms would refuse it.
    epoch_ms(coalesce(
        CASE WHEN event.at_ms BETWEEN 0 AND 253402300799999 THEN event.at_ms END, logged_at_ms
    )) AS occurred_at,
    epoch_ms(logged_at_ms) AS logged_at
FROM arrived;

INSERT INTO fold.config_records
SELECT kafka_offset, logged_at_ms, actor, config_headers, coalesce(raw, encode(value::VARCHAR))
FROM arrived
WHERE topic = 'render-config' AND record_key = 'render';

CREATE OR REPLACE TEMP TABLE useful AS
SELECT getvariable('round') AS round, kafka_partition, kafka_offset, event, value
FROM arrived
WHERE problem IS NULL AND topic = 'mix-events';

INSERT INTO fold.mix_facts
SELECT
    round, event.mix_id, kafka_partition, kafka_offset, event.type, event.at_ms,
    CASE WHEN event.submitted_at_ms BETWEEN 0 AND 253402300799999 THEN event.submitted_at_ms END,
    event.revision, event.trace_id, event.uri, event.sha256, event.bytes, event.frames, event.duration_ms,
    coalesce(event.reason, value ->> '$.errors[0].code'),
    coalesce(event.message, value ->> '$.errors[0].message')
FROM useful
WHERE event.type LIKE 'mix-%';

INSERT INTO fold.line_facts
SELECT
    round, mix_id, kafka_partition, kafka_offset, line.line_id, line.clip_task_id, line.clip_index,
    line.start_frame, line.frames, line.extend_frames, line.text, line.start_ms, line.end_ms
FROM (
    SELECT round, event.mix_id AS mix_id, kafka_partition, kafka_offset, unnest(json_transform(value -> '$.lines', '[{
        "line_id": "VARCHAR", "clip_task_id": "VARCHAR", "clip_index": "BIGINT", "start_frame": "BIGINT",
        "frames": "BIGINT", "extend_frames": "BIGINT", "text": "VARCHAR", "start_ms": "BIGINT",
        "end_ms": "BIGINT"
    }]')) AS line
    FROM useful
    WHERE event.type = 'mix-accepted'
)
WHERE line.clip_task_id IS NOT NULL;

INSERT INTO fold.clip_facts
SELECT
    round, event.mix_id, kafka_partition, kafka_offset, event.type, event.at_ms,
    event.clip_task_id, event.clip_index, event.video_id, event.candidate_index, event.attempt,
    coalesce(event.fallback_reason, event.reason), event.error, event.retryable, event.worker,
    event.parallel_slot, event.started_at_ms, event.finished_at_ms, event.config_version, event.uri,
    event.sha256, event.bytes, event.method, event.isolation, event.first_source_ms, event.last_source_ms
FROM useful
WHERE event.type LIKE 'clip-%';

INSERT INTO fold.mixes
SELECT DISTINCT event.mix_id, getvariable('round')
FROM useful
WHERE event.mix_id NOT IN (SELECT mix_id FROM fold.mixes);
