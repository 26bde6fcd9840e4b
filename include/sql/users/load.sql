-- Observations of the users of the window, from all logged-in events: the first sighting of each span of one level
-- within each hour. Of events in the same millisecond the last in the session counts.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }} (
    user_id BIGINT NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    level VARCHAR(16) NOT NULL,
    first_name VARCHAR(256),
    last_name VARCHAR(256),
    gender VARCHAR(16)
)
BACKUP NO
DISTSTYLE KEY
DISTKEY (user_id);

INSERT INTO {{ candidate }} (user_id, observed_at, level, first_name, last_name, gender)
WITH sightings AS (
    SELECT
        user_id,
        ts AS observed_at,
        DATE_TRUNC('hour', ts) AS observed_hour,
        level,
        first_name,
        last_name,
        gender,
        ROW_NUMBER() OVER (
            PARTITION BY user_id, ts
            ORDER BY NVL(item_in_session, -1) DESC, session_id DESC, level DESC, first_name DESC, last_name DESC, gender DESC
        ) AS recency
    FROM {{ work('events') }}
    WHERE
        user_id IS NOT NULL
        AND level IS NOT NULL
        AND ts >= TIMESTAMP '{{ window.start_sql }}'
        AND ts < TIMESTAMP '{{ window.end_sql }}'
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
