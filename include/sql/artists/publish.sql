-- Also the artists that the changed songs named before: they may lose a song.
CREATE TEMP TABLE touched_artists
DISTSTYLE KEY
DISTKEY (artist_id)
AS
SELECT artists.artist_id
FROM {{ candidate }} AS artists
INNER JOIN changed_songs
    ON artists.song_id = changed_songs.song_id
UNION
SELECT artists.artist_id
FROM {{ candidate }} AS artists
LEFT JOIN sparkify.artists AS published
    ON artists.artist_id = published.artist_id
WHERE published.artist_id IS NULL
UNION
SELECT observations.artist_id
FROM staging.artist_observations AS observations
{% if mode == 'append' -%}
INNER JOIN changed_songs
    ON observations.song_id = changed_songs.song_id
{%- endif %};

DELETE FROM staging.artist_observations
USING changed_songs
WHERE artist_observations.song_id = changed_songs.song_id;

INSERT INTO staging.artist_observations (
    song_id, artist_id, artist_name, artist_location, artist_latitude, artist_longitude
)
SELECT
    artists.song_id,
    artists.artist_id,
    artists.artist_name,
    artists.artist_location,
    artists.artist_latitude,
    artists.artist_longitude
FROM {{ candidate }} AS artists
INNER JOIN changed_songs
    ON artists.song_id = changed_songs.song_id;

DELETE FROM sparkify.artists
{% if mode == 'append' -%}
USING touched_artists
WHERE artists.artist_id = touched_artists.artist_id
{%- endif %};

INSERT INTO sparkify.artists (artist_id, name, location, latitude, longitude)
WITH observations AS (
    SELECT
        all_observations.artist_id,
        all_observations.artist_name,
        all_observations.artist_location,
        all_observations.artist_latitude,
        all_observations.artist_longitude
    FROM staging.artist_observations AS all_observations
    INNER JOIN touched_artists
        ON all_observations.artist_id = touched_artists.artist_id
),

artist_ids AS (
    SELECT DISTINCT artist_id
    FROM observations
),

names AS (
    SELECT
        artist_id,
        artist_name,
        ROW_NUMBER() OVER (
            PARTITION BY artist_id ORDER BY COUNT(*) DESC, LEN(artist_name), artist_name
        ) AS choice
    FROM observations
    WHERE artist_name IS NOT NULL
    GROUP BY artist_id, artist_name
),

locations AS (
    SELECT
        artist_id,
        artist_location,
        ROW_NUMBER() OVER (
            PARTITION BY artist_id ORDER BY COUNT(*) DESC, LEN(artist_location), artist_location
        ) AS choice
    FROM observations
    WHERE artist_location IS NOT NULL
    GROUP BY artist_id, artist_location
),

coordinates AS (
    SELECT
        artist_id,
        artist_latitude,
        artist_longitude,
        ROW_NUMBER() OVER (
            PARTITION BY artist_id ORDER BY COUNT(*) DESC, artist_latitude ASC, artist_longitude ASC
        ) AS choice
    FROM observations
    WHERE
        artist_latitude IS NOT NULL
        AND artist_longitude IS NOT NULL
    GROUP BY artist_id, artist_latitude, artist_longitude
)

SELECT
    artist_ids.artist_id,
    names.artist_name,
    locations.artist_location,
    coordinates.artist_latitude,
    coordinates.artist_longitude
FROM artist_ids
LEFT JOIN names
    ON artist_ids.artist_id = names.artist_id AND names.choice = 1
LEFT JOIN locations
    ON artist_ids.artist_id = locations.artist_id AND locations.choice = 1
LEFT JOIN coordinates
    ON artist_ids.artist_id = coordinates.artist_id AND coordinates.choice = 1;
