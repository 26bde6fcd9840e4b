{% from 'songs/choice.sql' import choice -%}
-- The artist that each staged song file names, by the same choice between files of one song_id as songs.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }}
DISTSTYLE KEY
DISTKEY (song_id)
AS
SELECT
    song_id,
    artist_id,
    artist_name,
    artist_location,
    artist_latitude,
    artist_longitude
FROM (
    {{ choice(work('songs'), work('songs_catalogue')) | indent }}
) AS songs
WHERE artist_id IS NOT NULL;
