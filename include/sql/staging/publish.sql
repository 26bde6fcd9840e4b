{#- `hours`: how many hours of the window were published before. `sources`: those of which the run has staged files. -#}
{% if hours -%}
-- What is published from which files. The same bytes may have been published meanwhile by a run that listed them
-- later: listed_at does not go back, or bytes that are older than both would be taken for newer.
UPDATE {{ work('events_files') }}
SET listed_at = published.listed_at
FROM staging.published_hours AS published
WHERE
    published.hour_start = {{ work('events_files') }}.hour_start
    AND published.files_digest = {{ work('events_files') }}.files_digest
    AND published.listed_at > {{ work('events_files') }}.listed_at;

{% endif -%}
{% if with_songs -%}
{% if whole -%}
DELETE FROM staging.source_files
WHERE source = 'songs';

{% elif 'songs' in sources -%}
-- The version stays of a file that was published already, as it was.
UPDATE {{ work('songs_files') }}
SET catalogue_version = published.catalogue_version
FROM staging.source_files AS published
WHERE
    published.source = 'songs'
    AND published.bucket = {{ quote(bucket) }}
    AND published.object_key = {{ work('songs_files') }}.object_key
    AND published.etag = {{ work('songs_files') }}.etag;

{% endif -%}
{% endif -%}
{% for source in sources -%}
DELETE FROM staging.source_files
USING {{ work(source ~ '_files') }} AS files
WHERE
    source_files.source = '{{ source }}'
    AND source_files.bucket = {{ quote(bucket) }}
    AND source_files.object_key = files.object_key;

-- Of a file whose name Redshift has cut, the rejected rows count for each file that it may be.
INSERT INTO staging.source_files (
    source, bucket, object_key, etag, size_bytes, last_modified, listed_at, run_id, published_at, catalogue_version,
    rejected_rows
)
SELECT
    '{{ source }}',
    {{ quote(bucket) }},
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.listed_at,
    {{ quote(run_id) }},
    GETDATE(),
    {% if source == 'songs' -%}
    NVL(files.catalogue_version, (SELECT NVL(MAX(version), 0) + 1 FROM staging.published_catalogue)),
    {% else -%}
    NULL,
    {% endif -%}
    NVL(SUM(rejected.row_count), 0)
FROM (
    SELECT DISTINCT
        object_key,
        etag,
        size_bytes,
        last_modified,
        listed_at,
        catalogue_version
    FROM {{ work(source ~ '_files') }}
    WHERE object_key IS NOT NULL
) AS files
LEFT JOIN (
    SELECT
        object_key,
        COUNT(*) AS row_count
    FROM {{ work(source ~ '_rejected') }}
    WHERE hour_start IS NULL
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

{% endfor -%}
{% if with_songs -%}
{% if not catalogues -%}
INSERT INTO staging.published_catalogue (listed_at, version, songs, run_id)
SELECT
    seen.listed_at,
    0,
    0,
    {{ quote(run_id) }}
FROM {{ work('songs_catalogue') }} AS seen;

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
{% if hours -%}
DELETE FROM staging.published_hours
WHERE
    hour_start >= TIMESTAMP '{{ window.start_sql }}'
    AND hour_start < TIMESTAMP '{{ window.end_sql }}';

{% endif -%}
INSERT INTO staging.published_hours (
    hour_start, files_digest, listed_at, run_id, songplays, user_observations, duplicate_plays, other_pages,
    rejected_rows
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

events AS (
    SELECT
        DATE_TRUNC('hour', ts) AS hour_start,
        COUNT(CASE WHEN page = 'NextSong' THEN 1 END) AS plays,
        COUNT(CASE WHEN page <> 'NextSong' THEN 1 END) AS other_pages
    FROM {{ work('events') }}
    WHERE
        ts >= TIMESTAMP '{{ window.start_sql }}'
        AND ts < TIMESTAMP '{{ window.end_sql }}'
    GROUP BY DATE_TRUNC('hour', ts)
),

rejected AS (
    SELECT
        hour_start,
        COUNT(*) AS rejected_rows
    FROM {{ work('events_rejected') }}
    WHERE hour_start IS NOT NULL
    GROUP BY hour_start
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
    NVL(observations.user_observations, 0),
    NVL(events.plays, 0) - NVL(plays.songplays, 0),
    NVL(events.other_pages, 0),
    NVL(rejected.rejected_rows, 0)
FROM hours
LEFT JOIN plays
    ON hours.hour_start = plays.hour_start
LEFT JOIN observations
    ON hours.hour_start = observations.hour_start
LEFT JOIN events
    ON hours.hour_start = events.hour_start
LEFT JOIN rejected
    ON hours.hour_start = rejected.hour_start;
