{% from 'songs/choice.sql' import choice -%}
{% from 'text.sql' import text, title -%}
-- The songs of the staged files, as the files state them.
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
    {{ title('title') }},
    {{ text('artist_id') }},
    year,
    duration
FROM (
    {{ choice(work('songs')) | indent }}
) AS songs;
