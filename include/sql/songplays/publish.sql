{% from 'songplays/match.sql' import matched -%}
-- The plays of the window replace those that were published for it. A play whose natural key stays keeps its
-- songplay_id; only a play that is no longer in the files goes.
DELETE FROM sparkify.songplays
WHERE
    start_time >= TIMESTAMP '{{ window.start_sql }}'
    AND start_time < TIMESTAMP '{{ window.end_sql }}'
    AND NOT EXISTS (
        SELECT 1
        FROM {{ candidate }} AS plays
        WHERE
            plays.start_time = songplays.start_time
            AND plays.user_id = songplays.user_id
            AND plays.session_id = songplays.session_id
            AND plays.item_in_session = songplays.item_in_session
    );

-- EXCEPT leaves the plays of which something changed, and takes NULL for equal to NULL. LEN tells titles apart that
-- Redshift takes for equal: those that differ in the blanks at their end.
UPDATE sparkify.songplays
SET
    level = changed.level,
    location = changed.location,
    user_agent = changed.user_agent,
    song_title = changed.song_title,
    artist_name = changed.artist_name,
    song_length = changed.song_length
FROM (
    SELECT
        start_time,
        user_id,
        session_id,
        item_in_session,
        level,
        location,
        user_agent,
        song_title,
        LEN(song_title) AS title_length,
        artist_name,
        song_length
    FROM {{ candidate }}
    EXCEPT
    SELECT
        start_time,
        user_id,
        session_id,
        item_in_session,
        level,
        location,
        user_agent,
        song_title,
        LEN(song_title) AS title_length,
        artist_name,
        song_length
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ window.start_sql }}'
        AND start_time < TIMESTAMP '{{ window.end_sql }}'
) AS changed
WHERE
    songplays.start_time >= TIMESTAMP '{{ window.start_sql }}'
    AND songplays.start_time < TIMESTAMP '{{ window.end_sql }}'
    AND songplays.start_time = changed.start_time
    AND songplays.user_id = changed.user_id
    AND songplays.session_id = changed.session_id
    AND songplays.item_in_session = changed.item_in_session;

INSERT INTO sparkify.songplays (
    start_time, user_id, level, song_id, artist_id, session_id, item_in_session,
    location, user_agent, song_title, artist_name, song_length
)
SELECT
    plays.start_time,
    plays.user_id,
    plays.level,
    plays.song_id,
    plays.artist_id,
    plays.session_id,
    plays.item_in_session,
    plays.location,
    plays.user_agent,
    plays.song_title,
    plays.artist_name,
    plays.song_length
FROM {{ candidate }} AS plays
LEFT JOIN sparkify.songplays AS songplays
    ON
        plays.start_time = songplays.start_time
        AND plays.user_id = songplays.user_id
        AND plays.session_id = songplays.session_id
        AND plays.item_in_session = songplays.item_in_session
        AND songplays.start_time >= TIMESTAMP '{{ window.start_sql }}'
        AND songplays.start_time < TIMESTAMP '{{ window.end_sql }}'
WHERE songplays.songplay_id IS NULL
ORDER BY plays.start_time, plays.session_id, plays.item_in_session;

-- The songs of plays are looked up again under the publish lock, because another run may have published songs
-- or plays since the candidate was made: for those of the window, and for every earlier play that points at a
-- song that this run changes or is called like one; for all plays where songs is rebuilt whole.
CREATE TEMP TABLE plays_to_match (
    songplay_id BIGINT NOT NULL,
    start_time TIMESTAMP NOT NULL,
    song_id VARCHAR(64),
    artist_id VARCHAR(64),
    song_title VARCHAR(1024),
    artist_name VARCHAR(1024),
    song_length DOUBLE PRECISION
);

INSERT INTO plays_to_match
SELECT
    songplay_id,
    start_time,
    song_id,
    artist_id,
    song_title,
    artist_name,
    song_length
FROM sparkify.songplays
{%- if modes['songs'] == 'append' %}
WHERE
    (
        start_time >= TIMESTAMP '{{ window.start_sql }}'
        AND start_time < TIMESTAMP '{{ window.end_sql }}'
    )
    {%- if rows['songs'] or whole %}
    OR song_id IN (SELECT song_id FROM changed_songs)
    OR TRIM(song_title) IN (
        SELECT TRIM(songs.title)
        FROM {{ work('songs_candidate') }} AS songs
        INNER JOIN changed_songs
            ON songs.song_id = changed_songs.song_id
    )
    {%- endif %}
{%- endif %};

CREATE TEMP TABLE matched_plays AS
WITH catalogue AS (
    SELECT
        songs.song_id,
        songs.artist_id,
        songs.title,
        artist_observations.artist_name,
        songs.duration
    FROM sparkify.songs AS songs
    INNER JOIN staging.artist_observations AS artist_observations
        ON songs.song_id = artist_observations.song_id
)

{{ matched('plays_to_match', ['songplay_id'], ['songplay_id', 'start_time'], 'catalogue') }}
EXCEPT
SELECT
    songplay_id,
    start_time,
    song_id,
    artist_id
FROM plays_to_match;

UPDATE sparkify.songplays
SET
    song_id = matched_plays.song_id,
    artist_id = matched_plays.artist_id
FROM matched_plays
WHERE
    songplays.songplay_id = matched_plays.songplay_id
    AND songplays.start_time = matched_plays.start_time
    {%- if modes['songs'] == 'append' and not rows['songs'] and not whole %}
    AND songplays.start_time >= TIMESTAMP '{{ window.start_sql }}'
    AND songplays.start_time < TIMESTAMP '{{ window.end_sql }}'
    {%- endif %};
