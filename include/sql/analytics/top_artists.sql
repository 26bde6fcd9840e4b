-- Top artists, as logged
-- One row per artist name exactly as the app logged it, so "Muse" and "Muse feat. X" are two rows. songs
-- counts distinct titles, listeners counts distinct users; plays without an artist are left out.
WITH most_played AS (
    SELECT artist_name
    FROM sparkify.songplays
    WHERE
        artist_name IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_name
    ORDER BY COUNT(*) DESC, artist_name ASC
    LIMIT {{ row_limit }}
)

SELECT
    artist_name,
    COUNT(*) AS plays,
    COUNT(DISTINCT user_id) AS listeners,
    COUNT(DISTINCT song_title) AS songs,
    COUNT(song_id) AS plays_in_catalogue
FROM sparkify.songplays
WHERE
    artist_name IN (SELECT artist_name FROM most_played)
    AND start_time >= TIMESTAMP '{{ period_start }}'
    AND start_time < TIMESTAMP '{{ period_end }}'
GROUP BY artist_name
ORDER BY plays DESC, artist_name ASC
LIMIT {{ row_limit }};
