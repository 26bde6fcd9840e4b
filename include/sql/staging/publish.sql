{% from 'reach.sql' import among, in_reach -%}
{#- `hours`: how many of the run's hours were published before. `late`: how many of them are not of its window. `songs_staged`:
    whether the run has staged song files, and `songs_known`: whether some of these may be in the ledger. -#}
{% if with_songs and whole -%}
DELETE FROM staging.source_files
WHERE source = 'songs';

DELETE FROM staging.catalogue_claims
WHERE run_id = {{ quote(run_id) }};

{% elif songs_known -%}
-- The version stays of a file that was published already, as it was.
UPDATE {{ work('songs_files') }}
SET catalogue_version = published.catalogue_version
FROM staging.source_files AS published
WHERE
    published.source = 'songs'
    AND published.bucket = {{ quote(bucket) }}
    AND published.object_key = {{ work('songs_files') }}.object_key
    AND published.etag = {{ work('songs_files') }}.etag;

DELETE FROM staging.source_files
USING {{ work('songs_files') }} AS files
WHERE
    source_files.source = 'songs'
    AND source_files.bucket = {{ quote(bucket) }}
    AND source_files.object_key = files.object_key;

{% endif -%}
{% if songs_staged -%}
-- Of a file whose name Redshift has cut, the rejected rows count for each file that it may be.
INSERT INTO staging.source_files (
    source, bucket, object_key, etag, size_bytes, last_modified, listed_at, run_id, published_at, catalogue_version,
    rejected_rows
)
SELECT
    'songs',
    {{ quote(bucket) }},
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.listed_at,
    {{ quote(run_id) }},
    GETDATE(),
    NVL(files.catalogue_version, (SELECT NVL(MAX(version), 0) + 1 FROM staging.published_catalogue)),
    NVL(SUM(rejected.row_count), 0)
FROM {{ work('songs_files') }} AS files
LEFT JOIN (
    SELECT
        object_key,
        COUNT(*) AS row_count
    FROM {{ work('songs_rejected') }}
    GROUP BY object_key
) AS rejected
    ON LEFT(files.object_key, LEN(rejected.object_key)) = rejected.object_key
GROUP BY
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.listed_at,
    files.catalogue_version;

{% endif -%}
{% if with_songs -%}
{% if not catalogues -%}
-- Not of a run that left the first songs to another.
INSERT INTO staging.published_catalogue (listed_at, version, songs, run_id)
SELECT
    seen.listed_at,
    0,
    0,
    {{ quote(run_id) }}
FROM {{ work('songs_catalogue') }} AS seen
WHERE seen.is_whole;

{% endif -%}
UPDATE staging.published_catalogue
SET
    listed_at = seen.listed_at,
    version = published_catalogue.version + 1,
    songs = (SELECT COUNT(*) FROM staging.song_observations),
    run_id = {{ quote(run_id) }}
FROM {{ work('songs_catalogue') }} AS seen
WHERE seen.listed_at >= published_catalogue.listed_at;

{% endif -%}
{% macro count_by_hour(table, column) -%}
SELECT
        DATE_TRUNC('hour', {{ column }}) AS hour_start,
        COUNT(*) AS row_count
    FROM {{ table }}
    WHERE
        {{ in_reach(column, reach) | indent }}
    GROUP BY DATE_TRUNC('hour', {{ column }})
{%- endmacro -%}
-- Of hours beside the window the candidates hold the new rows and those around them, so that what was published counts.
CREATE TEMP TABLE run_hours
DISTSTYLE ALL
AS
SELECT
    hours.hour_start,
    NVL(plays.row_count, 0) AS songplays,
    NVL(observations.row_count, 0) AS user_observations,
    NVL(hours.plays, 0) AS logged_plays,
    NVL(hours.events, 0) - NVL(hours.plays, 0) AS other_pages,
    NVL(hours.rejected_rows, 0) AS rejected_rows,
    hours.version,
    hours.is_landed,
    NVL(published.is_certified, FALSE) AS is_certified
FROM {{ work('events_hours') }} AS hours
LEFT JOIN (
    SELECT
        hour_start,
        is_certified
    FROM staging.published_hours
    WHERE
        {{ among('hour_start', work('events_hours')) | indent }}
) AS published
    ON hours.hour_start = published.hour_start
LEFT JOIN (
    {{ count_by_hour('sparkify.songplays' if late else work('songplays_candidate'), 'start_time') }}
) AS plays
    ON hours.hour_start = plays.hour_start
LEFT JOIN (
    {{ count_by_hour('staging.user_observations' if late else work('users_candidate'), 'observed_at') }}
) AS observations
    ON hours.hour_start = observations.hour_start;

{% if hours -%}
DELETE FROM staging.published_hours
USING {{ work('events_hours') }} AS hours
WHERE
    published_hours.hour_start = hours.hour_start
    AND {{ among('published_hours.hour_start', work('events_hours')) }};

{% endif -%}
INSERT INTO staging.published_hours (
    hour_start, run_id, songplays, user_observations, duplicate_plays, other_pages, rejected_rows, version, is_landed,
    is_certified
)
SELECT
    hour_start,
    {{ quote(run_id) }},
    songplays,
    user_observations,
    CASE WHEN is_landed THEN logged_plays - songplays END,
    CASE WHEN is_landed THEN other_pages END,
    CASE WHEN is_landed THEN rejected_rows END,
    version,
    is_landed,
    is_certified
FROM run_hours;
