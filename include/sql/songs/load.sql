-- The songs of the staged files, as the files state them. Should two files hold one song_id, the choice
-- between them is a rule and not chance.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }} (
    song_id VARCHAR(64) NOT NULL,
    title VARCHAR(1024),
    artist_id VARCHAR(64),
    year INTEGER,
    duration DOUBLE PRECISION
)
BACKUP NO
DISTSTYLE KEY
DISTKEY (song_id);

INSERT INTO {{ candidate }} (song_id, title, artist_id, year, duration)
SELECT
    song_id,
    title,
    artist_id,
    year,
    duration
FROM (
    SELECT
        song_id,
        title,
        artist_id,
        year,
        duration,
        ROW_NUMBER() OVER (
            PARTITION BY song_id
            ORDER BY title, artist_id, artist_name, duration, year, artist_location, artist_latitude, artist_longitude
        ) AS occurrence
    FROM {{ work('songs') }}
    WHERE song_id IS NOT NULL
) AS occurrences
WHERE occurrence = 1;
