-- Most played songs, as played
-- One row a title and artist exactly as the app logged them, so two spellings are two rows. listeners are distinct
-- users; plays_in_catalogue is 0 where the catalogue lacks the song.
WITH plays_of_listener AS (
    SELECT
        song_title,
        artist_name,
        user_id,
        COUNT(*) AS plays,
        COUNT(song_id) AS plays_in_catalogue
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY song_title, artist_name, user_id
)

SELECT
    song_title,
    artist_name,
    SUM(plays) AS plays,
    COUNT(user_id) AS listeners,
    SUM(plays_in_catalogue) AS plays_in_catalogue
FROM plays_of_listener
GROUP BY song_title, artist_name
ORDER BY plays DESC, song_title ASC, artist_name ASC
LIMIT {{ row_limit }};
