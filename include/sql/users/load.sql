{% from 'text.sql' import text -%}
-- Observations of the users of the run's hours, from plays and all events that are not logged out: the first sighting of
-- each span of one level within each hour. Of events in the same millisecond the last in the session counts; of
-- several with one number in it a play, then paid before free as in songplays. NULL stands behind every value.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }}
DISTSTYLE KEY
DISTKEY (user_id)
AS
WITH logged AS (
    SELECT
        user_id,
        ts AS observed_at,
        session_id,
        item_in_session,
        CASE WHEN page = 'NextSong' THEN 1 ELSE 2 END AS kind,
        level,
        {{ text('first_name') }} AS first_name,
        {{ text('last_name') }} AS last_name,
        {{ text('gender') }} AS gender
    FROM {{ work('events') }}
    WHERE
        user_id IS NOT NULL
        AND level IS NOT NULL
        AND (page = 'NextSong' OR NVL(TRIM(auth), '') <> 'Logged Out')
),

sightings AS (
    SELECT
        user_id,
        observed_at,
        DATE_TRUNC('hour', observed_at) AS observed_hour,
        level,
        first_name,
        last_name,
        gender,
        ROW_NUMBER() OVER (
            PARTITION BY user_id, observed_at
            ORDER BY
                item_in_session DESC NULLS LAST,
                session_id DESC NULLS LAST,
                kind ASC NULLS LAST,
                level DESC NULLS LAST,
                first_name ASC NULLS LAST,
                last_name ASC NULLS LAST,
                gender ASC NULLS LAST
        ) AS recency
    FROM logged
),

moments AS (
    SELECT
        user_id,
        observed_at,
        level,
        first_name,
        last_name,
        gender,
        LAG(level) OVER (PARTITION BY user_id, observed_hour ORDER BY observed_at) AS previous_level
    FROM sightings
    WHERE recency = 1
)

SELECT
    user_id,
    observed_at,
    level,
    first_name,
    last_name,
    gender
FROM moments
WHERE
    previous_level IS NULL
    OR previous_level <> level;
