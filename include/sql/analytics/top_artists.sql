-- Most played artists, as played
-- One row an artist's name exactly as the app logged it, so "Muse" and "Muse feat. X" are two rows. songs are
-- distinct titles, listeners distinct users; plays without an artist are left out.
WITH plays_of_listener AS (
    SELECT
        artist_name,
        user_id,
        COUNT(*) AS plays,
        COUNT(song_id) AS plays_in_catalogue
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_name, user_id
),

plays_of_song AS (
    SELECT
        artist_name,
        song_title
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_name, song_title
),

songs_of_artist AS (
    SELECT
        artist_name,
        COUNT(song_title) AS songs
    FROM plays_of_song
    GROUP BY artist_name
),

plays_of_artist AS (
    SELECT
        artist_name,
        SUM(plays) AS plays,
        COUNT(user_id) AS listeners,
        SUM(plays_in_catalogue) AS plays_in_catalogue
    FROM plays_of_listener
    GROUP BY artist_name
)

SELECT
    plays_of_artist.artist_name,
    plays_of_artist.plays,
    plays_of_artist.listeners,
    songs_of_artist.songs,
    plays_of_artist.plays_in_catalogue
FROM plays_of_artist
INNER JOIN songs_of_artist
    ON plays_of_artist.artist_name = songs_of_artist.artist_name
ORDER BY plays_of_artist.plays DESC, plays_of_artist.artist_name ASC
LIMIT {{ row_limit }};
