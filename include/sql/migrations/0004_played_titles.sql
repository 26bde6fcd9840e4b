-- Which titles were played, in which months and from which day of each, of the plays that are there.
CREATE TABLE IF NOT EXISTS staging.played_titles (
    first_day TIMESTAMP NOT NULL,
    song_title VARCHAR(1024) NOT NULL,
    artist_name VARCHAR(1024) NOT NULL
)
DISTSTYLE KEY
DISTKEY (song_title)
SORTKEY (first_day);

INSERT INTO staging.played_titles (first_day, song_title, artist_name)
SELECT
    DATE_TRUNC('day', MIN(start_time)),
    TRIM(song_title),
    TRIM(artist_name)
FROM sparkify.songplays
WHERE
    song_title IS NOT NULL
    AND artist_name IS NOT NULL
GROUP BY DATE_TRUNC('month', start_time), TRIM(song_title), TRIM(artist_name);
