-- Sessions, by the day they began
-- One row per UTC day. A session is a user's plays under one session id, from the start of the first song to
-- the end of the last, pauses included; long_sessions lasted an hour or more. A session that crosses the edge
-- of the period counts only with its plays inside it.
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
)

SELECT
    TRUNC(began_at) AS day,
    COUNT(*) AS sessions,
    SUM(CASE WHEN ended_at >= began_at + INTERVAL '1 hour' THEN 1 ELSE 0 END) AS long_sessions,
    CAST(ROUND(1.0 * SUM(plays) / COUNT(*), 1) AS DECIMAL(18, 1)) AS plays_per_session
FROM sessions
GROUP BY TRUNC(began_at)
ORDER BY day ASC
LIMIT {{ row_limit }};
