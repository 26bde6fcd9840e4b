-- The landing table of the song files of one run, named like the keys of the JSON objects for JSON auto.
-- NOT NULL: what a play finds its song by, and the keys; COPY refuses a song without one of them.
DROP TABLE IF EXISTS
    {{ work('songs') }},
    {{ work('songs_catalogue') }},
    {{ work('songs_seen') }},
    {{ work('songs_files') }},
    {{ work('songs_rejected') }},
    {{ work('songs_keys') }},
    {{ work('songs_torn') }};

CREATE TABLE {{ work('songs') }} (
    num_songs INTEGER,
    artist_id VARCHAR(64) NOT NULL,
    artist_latitude DOUBLE PRECISION,
    artist_longitude DOUBLE PRECISION,
    artist_location VARCHAR(1024),
    artist_name VARCHAR(1024) NOT NULL,
    song_id VARCHAR(64) NOT NULL,
    title VARCHAR(1024) NOT NULL,
    duration DOUBLE PRECISION NOT NULL,
    year INTEGER
)
DISTSTYLE KEY
DISTKEY (song_id);
{% include 'staging/songs/create_catalogue.sql' %}
{% include 'staging/songs/create_seen.sql' %}
{% include 'staging/create_files.sql' %}
{% include 'staging/create_rejected.sql' %}
{% include 'staging/create_keys.sql' %}
{% include 'staging/create_torn.sql' %}
