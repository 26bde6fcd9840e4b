{% from 'reach.sql' import in_reach -%}
{% from 'staging/events/columns.sql' import columns -%}
{#- `late`: how many hours beside the window are derived. `keeps`: as in reach.sql. `reach`: all hours that are derived. -#}
{% macro landed() -%}
FROM staging.landed_events AS landed
    INNER JOIN {{ work('events_hours') }} AS hours
        ON DATE_TRUNC('hour', landed.ts) = hours.hour_start
{%- endmacro -%}
{% if late -%}
-- Of the other hours, the users of whom rows have come since.
INSERT INTO {{ work('events_users') }} (hour_start, user_id)
SELECT DISTINCT
    hours.hour_start,
    landed.user_id
{{ landed() }}
INNER JOIN staging.batch_hours AS batch_hours
    ON
        landed.batch = batch_hours.batch
        AND hours.hour_start = batch_hours.hour_start
INNER JOIN staging.published_hours AS published
    ON hours.hour_start = published.hour_start
WHERE
    {{ in_reach('landed.ts', reach) }}
    AND NOT hours.is_whole
    AND batch_hours.since > published.version
    AND landed.user_id IS NOT NULL;

{% endif -%}
-- The rows that the run derives its hours from: all of its window; of other hours, those of users of whom some are new.
CREATE TABLE {{ work('events') }}
DISTSTYLE KEY
DISTKEY (session_id)
SORTKEY (ts)
AS
SELECT
    {% for column in columns -%}
    {{ column }}{{ ',' if not loop.last }}
    {% endfor -%}
FROM staging.landed_events
WHERE
    ts >= TIMESTAMP '{{ window.start_sql }}'
    AND ts < TIMESTAMP '{{ window.end_sql }}'
{%- if late %}
UNION ALL
SELECT
    {% for column in columns -%}
    landed.{{ column }}{{ ',' if not loop.last }}
    {% endfor -%}
FROM staging.landed_events AS landed
INNER JOIN {{ work('events_users') }} AS users
    ON
        landed.user_id = users.user_id
        AND DATE_TRUNC('hour', landed.ts) = users.hour_start
WHERE {{ in_reach('landed.ts', reach) }}
{%- endif %}
{%- if late or keeps %}
UNION ALL
-- Of hours whose rows are not all kept: the plays and sightings that are published.
SELECT
    plays.artist_name AS artist,
    'Logged In' AS auth,
    observed.first_name,
    observed.gender,
    plays.item_in_session,
    observed.last_name,
    plays.song_length AS length,
    plays.level,
    plays.location,
    CAST(NULL AS VARCHAR(16)) AS method,
    'NextSong' AS page,
    CAST(NULL AS DOUBLE PRECISION) AS registration,
    plays.session_id,
    plays.song_title AS song,
    CAST(NULL AS INTEGER) AS status,
    plays.start_time AS ts,
    plays.user_agent,
    plays.user_id
FROM sparkify.songplays AS plays
INNER JOIN {{ work('events_hours') }} AS hours
    ON DATE_TRUNC('hour', plays.start_time) = hours.hour_start
LEFT JOIN {{ work('events_users') }} AS users
    ON
        plays.user_id = users.user_id
        AND hours.hour_start = users.hour_start
LEFT JOIN (
    SELECT
        user_id,
        DATE_TRUNC('hour', observed_at) AS hour_start,
        MAX(first_name) AS first_name,
        MAX(last_name) AS last_name,
        MAX(gender) AS gender
    FROM staging.user_observations
    WHERE {{ in_reach('observed_at', reach) }}
    GROUP BY user_id, DATE_TRUNC('hour', observed_at)
) AS observed
    ON
        plays.user_id = observed.user_id
        AND hours.hour_start = observed.hour_start
LEFT JOIN staging.landed_events AS landed
    ON
        plays.start_time = landed.ts
        AND plays.user_id = landed.user_id
        AND plays.session_id = landed.session_id
        AND plays.item_in_session = landed.item_in_session
        AND landed.page = 'NextSong'
        AND {{ in_reach('landed.ts', reach) | indent }}
WHERE
    {{ in_reach('plays.start_time', reach) }}
    AND landed.ts IS NULL
    AND NOT hours.is_landed
    AND (hours.is_whole OR users.user_id IS NOT NULL)
UNION ALL
SELECT
    CAST(NULL AS VARCHAR(1024)) AS artist,
    'Logged In' AS auth,
    observed.first_name,
    observed.gender,
    -- It stands before the plays of its moment, of which the first run has chosen it.
    2147483647 AS item_in_session,
    observed.last_name,
    CAST(NULL AS DOUBLE PRECISION) AS length,
    observed.level,
    CAST(NULL AS VARCHAR(1024)) AS location,
    CAST(NULL AS VARCHAR(16)) AS method,
    'Home' AS page,
    CAST(NULL AS DOUBLE PRECISION) AS registration,
    CAST(NULL AS BIGINT) AS session_id,
    CAST(NULL AS VARCHAR(1024)) AS song,
    CAST(NULL AS INTEGER) AS status,
    observed.observed_at AS ts,
    CAST(NULL AS VARCHAR(2048)) AS user_agent,
    observed.user_id
FROM staging.user_observations AS observed
INNER JOIN {{ work('events_hours') }} AS hours
    ON DATE_TRUNC('hour', observed.observed_at) = hours.hour_start
LEFT JOIN {{ work('events_users') }} AS users
    ON
        observed.user_id = users.user_id
        AND hours.hour_start = users.hour_start
WHERE
    {{ in_reach('observed.observed_at', reach) }}
    AND NOT hours.is_landed
    AND (hours.is_whole OR users.user_id IS NOT NULL)
{%- endif %};
