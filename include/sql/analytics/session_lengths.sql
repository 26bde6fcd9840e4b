-- Session lengths
-- One row per range of lengths that occurs; the upper end is exclusive. A session is a user's plays under one
-- session id, from the start of the first song to the end of the last, pauses included.
WITH sessions AS (
    SELECT
        user_id,
        session_id,
        MIN(start_time) AS began_at,
        MAX(start_time + CAST(LEAST(GREATEST(NVL(song_length, 0), 0), 86400) AS INTEGER) * INTERVAL '1 second') AS ended_at,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY user_id, session_id
),

spans AS (
    SELECT
        CASE
            WHEN ended_at < began_at + INTERVAL '10 minutes' THEN 1
            WHEN ended_at < began_at + INTERVAL '30 minutes' THEN 2
            WHEN ended_at < began_at + INTERVAL '1 hour' THEN 3
            WHEN ended_at < began_at + INTERVAL '2 hours' THEN 4
            WHEN ended_at < began_at + INTERVAL '4 hours' THEN 5
            ELSE 6
        END AS span_number,
        COUNT(*) AS sessions,
        SUM(plays) AS plays
    FROM sessions
    GROUP BY span_number
)

SELECT
    CASE span_number
        WHEN 1 THEN 'under 10 minutes'
        WHEN 2 THEN '10 to 30 minutes'
        WHEN 3 THEN '30 to 60 minutes'
        WHEN 4 THEN '1 to 2 hours'
        WHEN 5 THEN '2 to 4 hours'
        ELSE '4 hours or more'
    END AS session_length,
    sessions,
    plays
FROM spans
ORDER BY span_number ASC
LIMIT {{ row_limit }};
