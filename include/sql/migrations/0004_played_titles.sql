-- Which titles were played in which month, of the plays that are there.
CREATE TABLE IF NOT EXISTS staging.played_titles (
    month_start TIMESTAMP NOT NULL,
    song_title VARCHAR(1024) NOT NULL,
    artist_name VARCHAR(1024) NOT NULL
)
DISTSTYLE KEY
DISTKEY (song_title)
SORTKEY (month_start);

INSERT INTO staging.played_titles (month_start, song_title, artist_name)
SELECT DISTINCT
    DATE_TRUNC('month', start_time),
    TRIM(song_title),
    TRIM(artist_name)
FROM sparkify.songplays
WHERE
    song_title IS NOT NULL
    AND artist_name IS NOT NULL;
