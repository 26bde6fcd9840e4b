{% from 'songplays/logged.sql' import logged_plays -%}
{% from 'songplays/match.sql' import matched -%}
{% from 'text.sql' import text -%}
-- The plays of the window, one row a natural key: of events with one key, the first by a fixed rule.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }} (
    start_time TIMESTAMP NOT NULL,
    user_id BIGINT NOT NULL,
    level VARCHAR(16),
    song_id VARCHAR(64),
    artist_id VARCHAR(64),
    session_id BIGINT NOT NULL,
    item_in_session INTEGER NOT NULL,
    location VARCHAR(1024),
    user_agent VARCHAR(2048),
    song_title VARCHAR(1024),
    artist_name VARCHAR(1024),
    song_length DOUBLE PRECISION
)
BACKUP NO
DISTSTYLE KEY
DISTKEY (session_id)
SORTKEY (start_time);

{% set columns = [
    'start_time', 'user_id', 'level', 'session_id', 'item_in_session', 'location', 'user_agent', 'song_title',
    'artist_name', 'song_length',
] -%}
INSERT INTO {{ candidate }} ({{ columns | join(', ') }}, song_id, artist_id)
WITH occurrences AS (
    {{ logged_plays(work('events'), window) | indent }}
),

plays AS (
    SELECT *
    FROM occurrences
    WHERE occurrence = 1
),

-- What the catalogue will be once this run is published.
catalogue AS (
    SELECT
        song_id,
        {{ text('artist_id') }} AS artist_id,
        title,
        artist_name,
        duration
    FROM {{ work('songs') }}
    WHERE song_id IS NOT NULL
    UNION ALL
    SELECT
        songs.song_id,
        songs.artist_id,
        songs.title,
        artist_observations.artist_name,
        songs.duration
    FROM sparkify.songs AS songs
    INNER JOIN staging.artist_observations AS artist_observations
        ON songs.song_id = artist_observations.song_id
    LEFT JOIN {{ work('songs') }} AS staged
        ON songs.song_id = staged.song_id
    WHERE staged.song_id IS NULL
)

{{ matched('plays', ['start_time', 'user_id', 'session_id', 'item_in_session'], columns, 'catalogue') }};
