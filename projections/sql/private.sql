-- What the fold keeps for itself. No key and no index anywhere: exactly-once comes from the positions.
CREATE SCHEMA fold;

CREATE TABLE fold.version (version INTEGER);

-- Where the fold stands in each partition: a position, not a count.
CREATE TABLE fold.positions (
    topic VARCHAR, kafka_partition INTEGER, next_offset BIGINT, last_record VARCHAR
);

-- Records folded and not yet rolled up, as they came.
CREATE TABLE fold.incoming (
    topic VARCHAR, kafka_partition INTEGER, kafka_offset BIGINT, logged_at_ms BIGINT, record_key VARCHAR,
    actor VARCHAR, newer_version BOOLEAN, config_headers VARCHAR, value VARCHAR, raw BLOB
);

-- Every record of render-config under its key, with the headers that say how it counts.
CREATE TABLE fold.config_records (
    kafka_offset BIGINT, logged_at_ms BIGINT, actor VARCHAR, headers VARCHAR, body BLOB
);

-- Facts, append-only. `round` numbers the roll-ups: it only lets a scan skip what is too old to matter.
CREATE TABLE fold.mixes (mix_id VARCHAR, first_round BIGINT);

CREATE TABLE fold.mix_facts (
    round BIGINT, mix_id VARCHAR, kafka_partition INTEGER, kafka_offset BIGINT, type VARCHAR, at_ms BIGINT,
    submitted_at_ms BIGINT, revision BIGINT, trace_id VARCHAR, uri VARCHAR, sha256 VARCHAR, bytes BIGINT,
    frames BIGINT, duration_ms BIGINT, reason VARCHAR, message VARCHAR
);

CREATE TABLE fold.line_facts (
    round BIGINT, mix_id VARCHAR, kafka_partition INTEGER, kafka_offset BIGINT, line_id VARCHAR,
    clip_task_id VARCHAR, clip_index BIGINT, start_frame BIGINT, frames BIGINT, extend_frames BIGINT,
    text VARCHAR, start_ms BIGINT, end_ms BIGINT
);

CREATE TABLE fold.clip_facts (
    round BIGINT, mix_id VARCHAR, kafka_partition INTEGER, kafka_offset BIGINT, type VARCHAR, at_ms BIGINT,
    clip_task_id VARCHAR, clip_index BIGINT, video_id VARCHAR, candidate_index BIGINT, attempt BIGINT,
    reason VARCHAR, error VARCHAR, retryable BOOLEAN, worker VARCHAR, parallel_slot BIGINT,
    started_at_ms BIGINT, finished_at_ms BIGINT, config_version BIGINT, uri VARCHAR, sha256 VARCHAR,
    bytes BIGINT, method VARCHAR, isolation VARCHAR, first_source_ms BIGINT, last_source_ms BIGINT
);
