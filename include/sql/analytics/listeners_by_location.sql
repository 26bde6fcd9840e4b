-- Listeners by location
-- One row per location as the app logged it. A user who played in two places is a listener in both, so
-- listeners may add up to more than the number of users.
WITH plays_of_listener AS (
    SELECT
        location,
        user_id,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY location, user_id
)

SELECT
    location,
    COUNT(user_id) AS listeners,
    SUM(plays) AS plays
FROM plays_of_listener
GROUP BY location
ORDER BY listeners DESC, plays DESC, location ASC
LIMIT {{ row_limit }};
