-- What is published from which files. The same bytes may have been published meanwhile by a run that listed them
-- later: listed_at does not go back, or bytes that are older than both would be taken for newer.
UPDATE {{ work('songs_files') }}
SET listed_at = published.listed_at
FROM staging.source_files AS published
WHERE
    published.source = 'songs'
    AND published.bucket = {{ quote(bucket) }}
    AND published.object_key = {{ work('songs_files') }}.object_key
    AND published.etag = {{ work('songs_files') }}.etag
    AND published.listed_at > {{ work('songs_files') }}.listed_at;

UPDATE {{ work('events_files') }}
SET listed_at = published.listed_at
FROM staging.published_hours AS published
WHERE
    published.hour_start = {{ work('events_files') }}.hour_start
    AND published.files_digest = {{ work('events_files') }}.files_digest
    AND published.listed_at > {{ work('events_files') }}.listed_at;
{% for source in ['songs', 'events'] %}
DELETE FROM staging.source_files
USING {{ work(source ~ '_files') }} AS files
WHERE
    source_files.source = '{{ source }}'
    AND source_files.bucket = {{ quote(bucket) }}
    AND source_files.object_key = files.object_key;

INSERT INTO staging.source_files (
    source, bucket, object_key, etag, size_bytes, last_modified, listed_at, run_id, published_at
)
SELECT DISTINCT
    '{{ source }}',
    {{ quote(bucket) }},
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.listed_at,
    {{ quote(run_id) }},
    GETDATE()
FROM {{ work(source ~ '_files') }} AS files
{%- if source == 'songs' %}
-- A song file that was rejected, or may be it where Redshift has cut its name, is staged, and counted, by every run
-- until it is mended.
LEFT JOIN (
    SELECT DISTINCT object_key
    FROM {{ work('songs_rejected') }}
) AS rejected
    ON LEFT(files.object_key, LEN(rejected.object_key)) = rejected.object_key
{%- endif %}
WHERE
    files.object_key IS NOT NULL
    {%- if source == 'songs' %}
    AND rejected.object_key IS NULL
    {%- endif %};
{% endfor %}
DELETE FROM staging.published_hours
WHERE
    hour_start >= TIMESTAMP '{{ window.start_sql }}'
    AND hour_start < TIMESTAMP '{{ window.end_sql }}';

INSERT INTO staging.published_hours (
    hour_start, files_digest, listed_at, run_id, songplays, user_observations
)
WITH hours AS (
    SELECT DISTINCT
        hour_start,
        files_digest,
        listed_at
    FROM {{ work('events_files') }}
),

plays AS (
    SELECT
        DATE_TRUNC('hour', start_time) AS hour_start,
        COUNT(*) AS songplays
    FROM {{ work('songplays_candidate') }}
    GROUP BY DATE_TRUNC('hour', start_time)
),

observations AS (
    SELECT
        DATE_TRUNC('hour', observed_at) AS hour_start,
        COUNT(*) AS user_observations
    FROM {{ work('users_candidate') }}
    GROUP BY DATE_TRUNC('hour', observed_at)
)

SELECT
    hours.hour_start,
    hours.files_digest,
    hours.listed_at,
    {{ quote(run_id) }},
    NVL(plays.songplays, 0),
    NVL(observations.user_observations, 0)
FROM hours
LEFT JOIN plays
    ON hours.hour_start = plays.hour_start
LEFT JOIN observations
    ON hours.hour_start = observations.hour_start;
