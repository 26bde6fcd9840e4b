-- Daily active users
-- One row per UTC day with plays; a user is active on a day if they played a song. A user who played at both
-- levels that day counts once in users, once in free_users and once in paid_users. A day without a row had no
-- plays, or is not loaded.
SELECT
    TRUNC(start_time) AS day,
    COUNT(DISTINCT user_id) AS users,
    COUNT(DISTINCT CASE WHEN level = 'free' THEN user_id END) AS free_users,
    COUNT(DISTINCT CASE WHEN level = 'paid' THEN user_id END) AS paid_users,
    COUNT(*) AS plays
FROM sparkify.songplays
WHERE
    start_time >= TIMESTAMP '{{ period_start }}'
    AND start_time < TIMESTAMP '{{ period_end }}'
GROUP BY TRUNC(start_time)
ORDER BY day ASC
LIMIT {{ row_limit }};
