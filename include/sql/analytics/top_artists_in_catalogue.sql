-- Most played artists of the catalogue
-- One row an artist of the catalogue, all spellings together; plays of songs that the catalogue lacks are left out.
-- Two artists of one name are two rows.
WITH plays_of_artist AS (
    SELECT
        artist_id,
        COUNT(*) AS plays,
        COUNT(DISTINCT user_id) AS listeners,
        COUNT(DISTINCT song_id) AS songs
    FROM sparkify.songplays
    WHERE
        artist_id IS NOT NULL
        AND start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY artist_id
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
