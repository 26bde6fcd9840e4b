-- The landing table of the song files of one run, named like the keys of the JSON objects for JSON auto.
DROP TABLE IF EXISTS {{ work('songs') }};
CREATE TABLE {{ work('songs') }} (
    num_songs INTEGER,
    artist_id VARCHAR(64),
    artist_latitude DOUBLE PRECISION,
    artist_longitude DOUBLE PRECISION,
    artist_location VARCHAR(1024),
    artist_name VARCHAR(1024),
    song_id VARCHAR(64),
    title VARCHAR(1024),
    duration DOUBLE PRECISION,
    year INTEGER
)
BACKUP NO
DISTSTYLE KEY
DISTKEY (song_id);
{% include 'staging/create_files.sql' %}
