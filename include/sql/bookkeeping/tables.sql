{% from 'songplays/titles.sql' import new_titles -%}
{% from 'bookkeeping/differences.sql' import differing_songs, differing_artists, torn_songs, published_songs,
    observations_without_span -%}
-- One row: how far the derived tables, and what the files said of songs, are from what they should be.
WITH span_starts AS (
    SELECT
        user_id,
        observed_at,
        level,
        first_name,
        last_name,
        gender,
        LAG(level) OVER (PARTITION BY user_id ORDER BY observed_at) AS previous_level
    FROM staging.user_observations
),

spans AS (
    SELECT
        user_id,
        observed_at AS valid_from,
        level,
        first_name,
        last_name,
        gender,
        1 AS side
    FROM span_starts
    WHERE
        previous_level IS NULL
        OR previous_level <> level
    UNION ALL
    SELECT
        user_id,
        valid_from,
        level,
        first_name,
        last_name,
        gender,
        -1 AS side
    FROM sparkify.users
),

differing_spans AS (
    SELECT user_id
    FROM spans
    GROUP BY user_id, valid_from, level, first_name, last_name, gender
    HAVING SUM(side) <> 0
)

SELECT
    (SELECT COUNT(*) FROM ({{ differing_songs() | indent }}) AS songs) AS songs,
    (SELECT COUNT(*) FROM ({{ differing_artists() | indent }}) AS artists) AS artists,
    (SELECT COUNT(*) FROM differing_spans) AS users,
    (SELECT COUNT(*) FROM ({{ observations_without_span() | indent }}) AS sightings) AS sightings_without_span,
    (SELECT COUNT(*) FROM ({{ torn_songs() | indent }}) AS torn) AS torn_songs,
    ({{ published_songs() }}) AS songs_published,
    (SELECT COUNT(*) FROM staging.song_observations) AS songs_observed,
    (SELECT COUNT(*) FROM ({{ new_titles('sparkify.songplays') | indent }}) AS titles) AS unknown_titles;
