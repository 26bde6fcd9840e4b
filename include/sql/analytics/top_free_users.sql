-- Most active free users, by plays in the catalogue
-- One row per user. Counts only plays made while the user was on the free level, of songs in the catalogue: a
-- user who upgraded keeps the plays from before. Users who share a name have separate rows.
WITH plays_of_user AS (
    SELECT
        user_id,
        COUNT(*) AS plays_in_catalogue,
        COUNT(DISTINCT song_id) AS songs
    FROM sparkify.songplays
    WHERE
        level = 'free'
        AND song_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY user_id
)

SELECT
    plays_of_user.user_id,
    users.first_name,
    users.last_name,
    plays_of_user.plays_in_catalogue,
    plays_of_user.songs
FROM plays_of_user
LEFT JOIN sparkify.users AS users
    ON
        plays_of_user.user_id = users.user_id
        AND users.is_current
ORDER BY plays_of_user.plays_in_catalogue DESC, plays_of_user.user_id ASC
LIMIT {{ row_limit }};
