-- Most played songs of the catalogue
-- One row a song of the catalogue; plays of songs that the catalogue lacks are left out. The artist's name is the
-- catalogue's, whatever spelling was played. Two songs of one title are two rows.
WITH plays_of_listener AS (
    SELECT
        song_id,
        user_id,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        song_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY song_id, user_id
),

plays_of_song AS (
    SELECT
        song_id,
        SUM(plays) AS plays,
        COUNT(user_id) AS listeners
    FROM plays_of_listener
    GROUP BY song_id
)

SELECT
    songs.title,
    artists.name AS artist,
    plays_of_song.plays,
    plays_of_song.listeners,
    songs.year,
    songs.song_id
FROM plays_of_song
INNER JOIN sparkify.songs AS songs
    ON plays_of_song.song_id = songs.song_id
LEFT JOIN sparkify.artists AS artists
    ON songs.artist_id = artists.artist_id
ORDER BY plays_of_song.plays DESC, songs.title ASC, songs.song_id ASC
LIMIT {{ row_limit }};
