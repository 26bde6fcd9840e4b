-- Top songs in the catalogue
-- One row per song in the catalogue; plays of songs that are not in the catalogue are left out. The artist's
-- name is the catalogue's, whatever spelling was logged. Songs that share a title have separate rows.
WITH plays_of_song AS (
    SELECT
        song_id,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        song_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY song_id
),

most_played AS (
    SELECT
        songs.song_id,
        songs.title,
        songs.artist_id,
        songs.year
    FROM plays_of_song
    INNER JOIN sparkify.songs AS songs
        ON plays_of_song.song_id = songs.song_id
    ORDER BY plays_of_song.plays DESC, songs.title ASC, songs.song_id ASC
    LIMIT {{ row_limit }}
)

SELECT
    most_played.title,
    artists.name AS artist,
    COUNT(*) AS plays,
    COUNT(DISTINCT songplays.user_id) AS listeners,
    most_played.year,
    most_played.song_id
FROM most_played
INNER JOIN sparkify.songplays AS songplays
    ON most_played.song_id = songplays.song_id
LEFT JOIN sparkify.artists AS artists
    ON most_played.artist_id = artists.artist_id
WHERE
    songplays.start_time >= TIMESTAMP '{{ period_start }}'
    AND songplays.start_time < TIMESTAMP '{{ period_end }}'
GROUP BY most_played.title, artists.name, most_played.year, most_played.song_id
ORDER BY plays DESC, most_played.title ASC, most_played.song_id ASC
LIMIT {{ row_limit }};
