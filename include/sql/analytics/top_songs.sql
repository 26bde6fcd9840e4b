-- Top songs, as logged
-- One row per title and artist exactly as the app logged them, so two spellings are two rows. listeners
-- counts distinct users; plays_in_catalogue is 0 if the catalogue lacks the song. Plays without a title are
-- left out.
WITH most_played AS (
    SELECT song_title
    FROM sparkify.songplays
    WHERE
        song_title IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY song_title, artist_name
    ORDER BY COUNT(*) DESC, song_title ASC, artist_name ASC
    LIMIT {{ row_limit }}
)

SELECT
    song_title,
    artist_name,
    COUNT(*) AS plays,
    COUNT(DISTINCT user_id) AS listeners,
    COUNT(song_id) AS plays_in_catalogue
FROM sparkify.songplays
WHERE
    song_title IN (SELECT song_title FROM most_played)
    AND start_time >= TIMESTAMP '{{ period_start }}'
    AND start_time < TIMESTAMP '{{ period_end }}'
GROUP BY song_title, artist_name
ORDER BY plays DESC, song_title ASC, artist_name ASC
LIMIT {{ row_limit }};
