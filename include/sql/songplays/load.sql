{% from 'songplays/logged.sql' import logged_plays -%}
{% from 'songplays/match.sql' import matched -%}
{% from 'songs/choice.sql' import choice, version_of_catalogue -%}
-- The plays that the run derives, one row a natural key: of events with one key, the first by a fixed rule. Their songs are
-- those of the catalogue as it will be once this run is published, unless another run publishes songs before that:
-- catalogue_version is the one that they were looked up in.
DROP TABLE IF EXISTS {{ candidate }};

{% set columns = [
    'start_time', 'user_id', 'level', 'session_id', 'item_in_session', 'location', 'user_agent', 'song_title',
    'artist_name', 'song_length',
] -%}
CREATE TABLE {{ candidate }}
DISTSTYLE KEY
DISTKEY (user_id)
SORTKEY (start_time)
AS
WITH occurrences AS (
    {{ logged_plays(work('events')) | indent }}
),

plays AS (
    SELECT *
    FROM occurrences
    WHERE occurrence = 1
),

staged_songs AS (
    {{ choice(work('songs'), work('songs_catalogue')) | indent }}
),

catalogue AS (
    SELECT
        song_id,
        artist_id,
        title,
        artist_name,
        duration
    FROM staged_songs
    WHERE artist_id IS NOT NULL
    UNION ALL
    SELECT
        songs.song_id,
        songs.artist_id,
        songs.title,
        artist_observations.artist_name,
        songs.duration
    FROM sparkify.songs AS songs
    -- Before anything else is joined to a large catalogue.
    INNER JOIN (
        SELECT DISTINCT TRIM(song) AS title
        FROM {{ work('events') }}
        WHERE page = 'NextSong'
    ) AS played
        ON TRIM(songs.title) = played.title
    INNER JOIN staging.artist_observations AS artist_observations
        ON songs.song_id = artist_observations.song_id
    LEFT JOIN staged_songs
        ON songs.song_id = staged_songs.song_id
    WHERE
        staged_songs.song_id IS NULL
        AND NOT EXISTS (
            SELECT 1
            FROM {{ work('songs_catalogue') }}
            WHERE is_whole
        )
),

matched_plays AS (
    {{ matched('plays', ['start_time', 'user_id', 'session_id', 'item_in_session'], columns, 'catalogue') | indent }}
)

SELECT
    {% for column in columns -%}
    {{ column }},
    {% endfor -%}
    song_id,
    artist_id,
    (SELECT {{ version_of_catalogue() }} FROM staging.published_catalogue) AS catalogue_version
FROM matched_plays;
