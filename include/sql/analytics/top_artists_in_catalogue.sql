-- Top artists in the catalogue
-- One row per artist in the catalogue, all spellings combined; plays of songs that are not in the catalogue
-- are left out. songs counts distinct songs, listeners counts distinct users. Artists who share a name have
-- separate rows.
WITH plays_of_artist AS (
    SELECT
        artist_id,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        artist_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_id
),

most_played AS (
    SELECT
        artists.artist_id,
        artists.name,
        artists.location
    FROM plays_of_artist
    INNER JOIN sparkify.artists AS artists
        ON plays_of_artist.artist_id = artists.artist_id
    ORDER BY plays_of_artist.plays DESC, artists.name ASC, artists.artist_id ASC
    LIMIT {{ row_limit }}
)

SELECT
    most_played.name AS artist,
    COUNT(*) AS plays,
    COUNT(DISTINCT songplays.user_id) AS listeners,
    COUNT(DISTINCT songplays.song_id) AS songs,
    most_played.location,
    most_played.artist_id
FROM most_played
INNER JOIN sparkify.songplays AS songplays
    ON most_played.artist_id = songplays.artist_id
WHERE
    songplays.start_time >= TIMESTAMP '{{ period_start }}'
    AND songplays.start_time < TIMESTAMP '{{ period_end }}'
GROUP BY most_played.name, most_played.location, most_played.artist_id
ORDER BY plays DESC, most_played.name ASC, most_played.artist_id ASC
LIMIT {{ row_limit }};
