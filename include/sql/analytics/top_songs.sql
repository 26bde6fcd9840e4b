-- Most played songs, as played
-- One row a title and artist exactly as the app logged them, so two spellings are two rows. listeners are distinct
-- users; plays_in_catalogue is 0 where the catalogue lacks the song.
SELECT
    song_title,
    artist_name,
    COUNT(*) AS plays,
    COUNT(DISTINCT user_id) AS listeners,
    COUNT(song_id) AS plays_in_catalogue
FROM sparkify.songplays
WHERE
    start_time >= TIMESTAMP '{{ period_start }}'
    AND start_time < TIMESTAMP '{{ period_end }}'
GROUP BY song_title, artist_name
ORDER BY plays DESC, song_title ASC, artist_name ASC
LIMIT {{ row_limit }};
