{% from 'songs/choice.sql' import choice -%}
-- The songs of the staged files, as the files say.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }}
DISTSTYLE KEY
DISTKEY (song_id)
AS
SELECT
    song_id,
    title,
    artist_id,
    year,
    duration
FROM (
    {{ choice(work('songs'), work('songs_catalogue')) | indent }}
) AS songs;
