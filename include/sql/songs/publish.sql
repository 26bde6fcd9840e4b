DELETE FROM staging.song_observations
USING {{ candidate }} AS observed
WHERE song_observations.song_id = observed.song_id;

INSERT INTO staging.song_observations (song_id, title, artist_id, year, duration)
SELECT
    song_id,
    title,
    artist_id,
    year,
    duration
FROM {{ candidate }};

DELETE FROM sparkify.songs
{% if mode == 'append' -%}
USING {{ candidate }} AS observed
WHERE songs.song_id = observed.song_id
{%- endif %};

INSERT INTO sparkify.songs (song_id, title, artist_id, year, duration)
SELECT
    song_id,
    title,
    artist_id,
    NULLIF(year, 0),
    duration
FROM {{ candidate if mode == 'append' else 'staging.song_observations' }};
