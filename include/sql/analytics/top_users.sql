-- Most active users, by level
-- One row per user and the level they had while they played: a user who played at both levels has two rows,
-- each with its own plays. Names are those with which the user's present level began. Users who share a name
-- have separate rows.
WITH plays_of_user AS (
    SELECT
        user_id,
        level,
        COUNT(*) AS plays,
        COUNT(song_id) AS plays_in_catalogue
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY user_id, level
)

SELECT
    plays_of_user.user_id,
    users.first_name,
    users.last_name,
    plays_of_user.level,
    plays_of_user.plays,
    plays_of_user.plays_in_catalogue
FROM plays_of_user
LEFT JOIN sparkify.users AS users
    ON
        plays_of_user.user_id = users.user_id
        AND users.is_current
ORDER BY plays_of_user.plays DESC, plays_of_user.user_id ASC, plays_of_user.level ASC
LIMIT {{ row_limit }};
