-- The period in figures
-- A user counts once, however often they listened and whatever their level. plays_in_catalogue counts the
-- plays whose song was found in the catalogue.
WITH plays_of_user AS (
    SELECT
        user_id,
        COUNT(*) AS plays,
        COUNT(song_id) AS plays_in_catalogue
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY user_id
),

days AS (
    SELECT TRUNC(start_time) AS day
    FROM sparkify.time
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY TRUNC(start_time)
)

SELECT
    NVL(SUM(plays), 0) AS plays,
    NVL(SUM(plays_in_catalogue), 0) AS plays_in_catalogue,
    COUNT(user_id) AS users,
    (SELECT COUNT(day) FROM days) AS days_with_plays
FROM plays_of_user
LIMIT {{ row_limit }};
