-- Most played artists of the catalogue
-- One row an artist of the catalogue, all spellings together; plays of songs that the catalogue lacks are left out.
-- Two artists of one name are two rows.
WITH plays_of_listener AS (
    SELECT
        artist_id,
        user_id,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        artist_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_id, user_id
),

plays_of_song AS (
    SELECT
        artist_id,
        song_id
    FROM sparkify.songplays
    WHERE
        artist_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_id, song_id
),

songs_of_artist AS (
    SELECT
        artist_id,
        COUNT(song_id) AS songs
    FROM plays_of_song
    GROUP BY artist_id
),

plays_of_artist AS (
    SELECT
        plays_of_listener.artist_id,
        SUM(plays_of_listener.plays) AS plays,
        COUNT(plays_of_listener.user_id) AS listeners,
        MAX(songs_of_artist.songs) AS songs
    FROM plays_of_listener
    INNER JOIN songs_of_artist
        ON plays_of_listener.artist_id = songs_of_artist.artist_id
    GROUP BY plays_of_listener.artist_id
)

SELECT
    artists.name AS artist,
    plays_of_artist.plays,
    plays_of_artist.listeners,
    plays_of_artist.songs,
    artists.location,
    artists.artist_id
FROM plays_of_artist
INNER JOIN sparkify.artists AS artists
    ON plays_of_artist.artist_id = artists.artist_id
ORDER BY plays_of_artist.plays DESC, artists.name ASC, artists.artist_id ASC
LIMIT {{ row_limit }};
