-- Plays in the week before and after a change of level
-- One row per change, latest first: the user's plays in the seven days before it and in the seven days that
-- follow, even where these reach beyond the period. The week after a recent change may not be over yet.
WITH spans AS (
    SELECT
        user_id,
        first_name,
        last_name,
        valid_from AS changed_at,
        level,
        LAG(level) OVER (PARTITION BY user_id ORDER BY valid_from) AS previous_level
    FROM sparkify.users
),

changes AS (
    SELECT
        user_id,
        first_name,
        last_name,
        changed_at,
        previous_level,
        level
    FROM spans
    WHERE
        previous_level IS NOT NULL
        AND changed_at >= TIMESTAMP '{{ period_start }}'
        AND changed_at < TIMESTAMP '{{ period_end }}'
),

plays_around AS (
    SELECT
        changes.user_id,
        changes.changed_at,
        COUNT(CASE WHEN plays.start_time < changes.changed_at THEN 1 END) AS plays_before,
        COUNT(CASE WHEN plays.start_time >= changes.changed_at THEN 1 END) AS plays_after
    FROM changes
    INNER JOIN sparkify.songplays AS plays
        ON
            changes.user_id = plays.user_id
            AND plays.start_time >= DATEADD(DAY, -7, changes.changed_at)
            AND plays.start_time < DATEADD(DAY, 7, changes.changed_at)
    WHERE
        plays.start_time >= DATEADD(DAY, -7, TIMESTAMP '{{ period_start }}')
        AND plays.start_time < DATEADD(DAY, 7, TIMESTAMP '{{ period_end }}')
    GROUP BY changes.user_id, changes.changed_at
)

SELECT
    changes.user_id,
    changes.first_name,
    changes.last_name,
    changes.changed_at,
    changes.previous_level,
    changes.level,
    NVL(plays_around.plays_before, 0) AS plays_before,
    NVL(plays_around.plays_after, 0) AS plays_after
FROM changes
LEFT JOIN plays_around
    ON
        changes.user_id = plays_around.user_id
        AND changes.changed_at = plays_around.changed_at
ORDER BY changes.changed_at DESC, changes.user_id ASC
LIMIT {{ row_limit }};
