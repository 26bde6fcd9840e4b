{% from 'songs/choice.sql' import choice -%}
{% from 'text.sql' import text -%}
-- The artist that each staged song file names, by the same choice between files of one song_id as songs.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }} (
    song_id VARCHAR(64) NOT NULL,
    artist_id VARCHAR(64) NOT NULL,
    artist_name VARCHAR(1024),
    artist_location VARCHAR(1024),
    artist_latitude DOUBLE PRECISION,
    artist_longitude DOUBLE PRECISION
)
BACKUP NO
DISTSTYLE KEY
DISTKEY (song_id);

INSERT INTO {{ candidate }} (
    song_id, artist_id, artist_name, artist_location, artist_latitude, artist_longitude
)
SELECT
    song_id,
    {{ text('artist_id') }},
    {{ text('artist_name') }},
    {{ text('artist_location') }},
    artist_latitude,
    artist_longitude
FROM (
    {{ choice(work('songs')) | indent }}
) AS songs
WHERE {{ text('artist_id') }} IS NOT NULL;
