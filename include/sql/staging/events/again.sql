-- What a task needs that is cleared once its run's work tables are gone: from what has landed, without a look at S3.
INSERT INTO {{ work('events_files') }} (
    listed_at, object_key, etag, size_bytes, last_modified, partition_start, partition_end
)
SELECT
    listed_at,
    object_key,
    etag,
    size_bytes,
    last_modified,
    partition_start,
    partition_end
FROM staging.landed_files
WHERE
    partition_start < TIMESTAMP '{{ window.end_sql }}'
    AND partition_end > TIMESTAMP '{{ window.start_sql }}';

INSERT INTO {{ work('events_rejected') }} (
    file_name, line_number, column_name, error_code, reason, raw_line, etag, hour_start, batch
)
SELECT
    rejected.file_name,
    rejected.line_number,
    rejected.column_name,
    rejected.error_code,
    rejected.reason,
    rejected.raw_line,
    rejected.etag,
    rejected.hour_start,
    rejected.batch
FROM sparkify.rejected_rows AS rejected
INNER JOIN staging.batches AS batches
    ON rejected.batch = batches.batch
WHERE batches.run_id = {{ quote(run_id) }};

INSERT INTO {{ work('events_hours') }} (hour_start, is_whole)
VALUES
{% for hour in window.hours() -%}
(TIMESTAMP '{{ hour.strftime('%Y-%m-%d %H:%M:%S') }}', TRUE){{ ',' if not loop.last else ';' }}
{% endfor %}
