-- Say anew what became of each touched mix. The result depends on the set of its facts alone: whatever has
-- to be chosen is chosen by its place in the log (partition, offset), never by when it arrived here.
-- Temporary table `touched` names the mixes, variable `since` the first round in which one of them occurred.

CREATE OR REPLACE TEMP TABLE told AS
SELECT * FROM fold.mix_facts
WHERE round >= getvariable('since') AND mix_id IN (SELECT mix_id FROM touched);

CREATE OR REPLACE TEMP TABLE plan AS
SELECT * FROM told WHERE type = 'mix-accepted'
QUALIFY row_number() OVER (PARTITION BY mix_id ORDER BY revision DESC, kafka_partition, kafka_offset) = 1;

-- What ended the newest revision: the first end after it in the log. One of an older revision is no end.
CREATE OR REPLACE TEMP TABLE ended AS
SELECT told.* FROM told JOIN plan USING (mix_id)
WHERE (told.kafka_partition, told.kafka_offset) > (plan.kafka_partition, plan.kafka_offset)
    AND told.type IN ('mix-rendered', 'mix-failed', 'mix-cancelled')
    -- The first logs did not say which revision a failure or a cancellation is about.
    AND coalesce(told.revision, plan.revision) = plan.revision
QUALIFY row_number() OVER (PARTITION BY mix_id ORDER BY told.kafka_partition, told.kafka_offset) = 1;

CREATE OR REPLACE TEMP TABLE rejected AS
SELECT * FROM told WHERE type = 'mix-rejected' AND mix_id NOT IN (SELECT mix_id FROM plan)
QUALIFY row_number() OVER (PARTITION BY mix_id ORDER BY kafka_partition, kafka_offset) = 1;

CREATE OR REPLACE TEMP TABLE planned AS
SELECT line.* FROM fold.line_facts AS line
JOIN plan USING (mix_id, kafka_partition, kafka_offset)
WHERE line.round >= getvariable('since');

CREATE OR REPLACE TEMP TABLE clip_told AS
SELECT fact.*, (mix_id, clip_task_id) IN (SELECT (mix_id, clip_task_id) FROM planned) AS effective
FROM fold.clip_facts AS fact
WHERE round >= getvariable('since') AND mix_id IN (SELECT mix_id FROM touched);

CREATE OR REPLACE TEMP TABLE tried AS
SELECT * FROM clip_told WHERE type IN ('clip-completed', 'clip-attempt-failed')
QUALIFY row_number() OVER (
    PARTITION BY mix_id, clip_task_id, candidate_index, attempt ORDER BY kafka_partition, kafka_offset
) = 1;

CREATE OR REPLACE TEMP TABLE outcome AS
SELECT * FROM clip_told WHERE effective AND type IN ('clip-completed', 'clip-placeholder')
QUALIFY row_number() OVER (
    PARTITION BY mix_id, clip_task_id ORDER BY kafka_partition, kafka_offset
) = 1;

DELETE FROM attempts WHERE mix_id IN (SELECT mix_id FROM touched);
INSERT INTO attempts BY NAME
SELECT
    mix_id, clip_task_id, clip_index, video_id, candidate_index, attempt,
    CASE type WHEN 'clip-completed' THEN 'completed' ELSE 'failed' END AS outcome,
    reason, error, retryable, worker, parallel_slot, epoch_ms(started_at_ms) AS started_at,
    epoch_ms(finished_at_ms) AS finished_at, finished_at_ms - started_at_ms AS duration_ms,
    config_version, effective, kafka_partition, kafka_offset
FROM tried;

DELETE FROM clips WHERE mix_id IN (SELECT mix_id FROM touched);
INSERT INTO clips BY NAME
SELECT
    planned.mix_id, planned.clip_index, planned.line_id, planned.clip_task_id, planned.text, planned.start_ms,
    planned.end_ms, planned.start_frame, planned.frames + coalesce(planned.extend_frames, 0) AS frames,
    CASE outcome.type WHEN 'clip-completed' THEN 'completed' WHEN 'clip-placeholder' THEN 'placeholder' END AS outcome,
    CASE outcome.type WHEN 'clip-placeholder' THEN outcome.reason END AS fallback_reason,
    outcome.video_id, outcome.candidate_index, outcome.attempt, coalesce(counted.attempts, 0) AS attempts,
    outcome.worker, outcome.parallel_slot, epoch_ms(outcome.started_at_ms) AS started_at,
    epoch_ms(coalesce(outcome.finished_at_ms, outcome.at_ms)) AS finished_at,
    outcome.finished_at_ms - outcome.started_at_ms AS duration_ms, outcome.config_version, outcome.uri,
    outcome.sha256, outcome.bytes, outcome.method, outcome.isolation, outcome.first_source_ms,
    outcome.last_source_ms
FROM planned
LEFT JOIN outcome USING (mix_id, clip_task_id)
LEFT JOIN (
    SELECT mix_id, clip_task_id, count(*) AS attempts FROM tried GROUP BY ALL
) AS counted USING (mix_id, clip_task_id);

DELETE FROM clip_stats WHERE mix_id IN (SELECT mix_id FROM touched);
INSERT INTO clip_stats BY NAME
WITH counts AS (
    SELECT
        mix_id, count(*) AS attempts,
        count(*) - count(DISTINCT (clip_task_id, candidate_index)) AS retries
    FROM tried WHERE effective GROUP BY mix_id
),
outcomes AS (
    SELECT
        mix_id, count(*) AS total_clips,
        count(*) FILTER (type = 'clip-completed') AS completed_tasks,
        count(*) FILTER (type = 'clip-placeholder') AS placeholder_tasks,
        count(*) FILTER (
            type = 'clip-placeholder' AND (mix_id, clip_task_id) IN (SELECT (mix_id, clip_task_id) FROM tried)
        ) AS failed_tasks
    FROM outcome GROUP BY mix_id
),
changes AS (
    SELECT mix_id, started_at_ms AS moment, 1 AS change FROM tried WHERE effective
    UNION ALL
    SELECT mix_id, greatest(finished_at_ms, started_at_ms + 1), -1 FROM tried WHERE effective
),
running AS (
    SELECT mix_id, sum(change) OVER (PARTITION BY mix_id ORDER BY moment, change ROWS UNBOUNDED PRECEDING) AS running
    FROM changes
),
peaks AS (SELECT mix_id, max(running) AS peak_parallelism FROM running GROUP BY mix_id),
durations AS (
    SELECT
        mix_id,
        2 * sum(finished_at_ms - started_at_ms) + count(*) AS twice,
        2 * count(*) AS divisor,
        list(finished_at_ms - started_at_ms ORDER BY finished_at_ms - started_at_ms) AS ascending
    FROM tried WHERE effective AND type = 'clip-completed' GROUP BY mix_id
),
reasons AS (
    SELECT mix_id, to_json(map_from_entries(list({k: reason, v: n} ORDER BY reason))) AS fallback_reason_counts
    FROM (SELECT mix_id, reason, count(*) AS n FROM outcome WHERE type = 'clip-placeholder' GROUP BY ALL)
    GROUP BY mix_id
),
videos AS (
    SELECT mix_id, to_json(map_from_entries(list({k: video_id, v: figures} ORDER BY video_id))) AS per_video
    FROM (
        SELECT mix_id, video_id, {
            attempts: count(*),
            completed: count(*) FILTER (type = 'clip-completed'),
            failed: count(*) FILTER (type = 'clip-attempt-failed')
        } AS figures
        FROM tried WHERE effective GROUP BY mix_id, video_id
    )
    GROUP BY mix_id
),
versions AS (
    SELECT mix_id, list(DISTINCT config_version ORDER BY config_version) AS config_versions
    FROM (
        SELECT mix_id, config_version FROM tried WHERE effective
        UNION ALL SELECT mix_id, config_version FROM outcome
    )
    WHERE config_version IS NOT NULL
    GROUP BY mix_id
)
SELECT
    mix_id,
    coalesce(total_clips, 0) AS total_clips,
    coalesce(completed_tasks, 0) AS completed_tasks,
    coalesce(placeholder_tasks, 0) AS placeholder_tasks,
    coalesce(failed_tasks, 0) AS failed_tasks,
    coalesce(attempts, 0) AS attempts,
    coalesce(retries, 0) AS retries,
    coalesce(peak_parallelism, 0) AS peak_parallelism,
    -- Half up, as floor(mean + 1/2): `//` drops the fraction, which below zero is not the floor.
    twice // divisor - (twice % divisor < 0)::BIGINT AS avg_clip_duration_ms,
    ascending[(95 * len(ascending) + 99) // 100] AS p95_clip_duration_ms,
    coalesce(fallback_reason_counts, '{}'::JSON) AS fallback_reason_counts,
    coalesce(per_video, '{}'::JSON) AS per_video,
    coalesce(config_versions, []::BIGINT[]) AS config_versions
FROM (SELECT mix_id FROM plan UNION ALL SELECT mix_id FROM rejected)
LEFT JOIN counts USING (mix_id)
LEFT JOIN outcomes USING (mix_id)
LEFT JOIN peaks USING (mix_id)
LEFT JOIN durations USING (mix_id)
LEFT JOIN reasons USING (mix_id)
LEFT JOIN videos USING (mix_id)
LEFT JOIN versions USING (mix_id);

DELETE FROM render_jobs WHERE id IN (SELECT mix_id FROM touched);
INSERT INTO render_jobs BY NAME
WITH jobs AS (
    SELECT
        plan.mix_id, plan.submitted_at_ms, plan.revision, plan.trace_id, ended.at_ms AS finished_at_ms,
        CASE ended.type
            WHEN 'mix-rendered' THEN 'rendered' WHEN 'mix-failed' THEN 'failed'
            WHEN 'mix-cancelled' THEN 'cancelled' ELSE 'rendering'
        END AS status,
        ended.uri, ended.sha256, ended.bytes, ended.frames, ended.duration_ms, ended.reason, ended.message,
        (SELECT count(*) FROM planned WHERE planned.mix_id = plan.mix_id) AS total_lines
    FROM plan LEFT JOIN ended USING (mix_id)
    UNION ALL BY NAME
    SELECT
        mix_id, coalesce(submitted_at_ms, at_ms) AS submitted_at_ms, trace_id, at_ms AS finished_at_ms,
        'rejected' AS status, reason, message, 0 AS total_lines
    FROM rejected
)
SELECT
    mix_id AS id, status, epoch_ms(submitted_at_ms) AS submitted_at, epoch_ms(finished_at_ms) AS finished_at,
    revision, uri AS output_uri, sha256 AS output_sha256, bytes AS output_bytes, frames AS output_frames,
    duration_ms AS output_duration_ms, total_lines, reason, message, trace_id,
    json_object('render', json_object('clip_stats', json_object(
        'total_clips', total_clips, 'completed_tasks', completed_tasks,
        'placeholder_tasks', placeholder_tasks, 'failed_tasks', failed_tasks,
        'attempts', attempts, 'retries', retries, 'peak_parallelism', peak_parallelism,
        'avg_clip_duration_ms', avg_clip_duration_ms, 'p95_clip_duration_ms', p95_clip_duration_ms,
        'fallback_reason_counts', fallback_reason_counts, 'per_video', per_video,
        'config_versions', config_versions
    ))) AS metrics
FROM jobs JOIN clip_stats USING (mix_id);
