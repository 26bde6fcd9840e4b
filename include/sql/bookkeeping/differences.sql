{#- What the tables hold, compared with what they were published with or are derived from. Each macro is a query that
    has no row where all is well. -#}

{#- Whether a moment is within one of some ranges, pairs of expressions, half-open. -#}
{% macro in_ranges(column, ranges) -%}
{% for start, end in ranges -%}
({{ column }} >= {{ start }} AND {{ column }} < {{ end }})
{%- if not loop.last %}
OR {% endif %}
{%- endfor %}
{%- endmacro %}

{#- The UTC hours whose plays, observations of users or, if `time`, moments are not as many as they should be; of
    those within one of the `ranges`, pairs of expressions, half-open, where any are given. -#}
{% macro differing_hours(ranges=[], time=True) -%}
{% macro hours_of(column) -%}
DATE_TRUNC('hour', {{ column }})
{%- endmacro %}
{% macro in_range(column) -%}
{% if ranges %}
    WHERE
        {{ in_ranges(column, ranges) | indent(8) }}
{%- endif %}
{%- endmacro %}
SELECT
    hour_start,
    SUM(published_plays) AS published_plays,
    SUM(plays) AS plays,
    SUM(published_observations) AS published_observations,
    SUM(observations) AS observations,
    SUM(moments) AS moments,
    SUM(time_rows) AS time_rows
FROM (
    SELECT
        hour_start,
        songplays AS published_plays,
        0 AS plays,
        user_observations AS published_observations,
        0 AS observations,
        0 AS moments,
        0 AS time_rows
    FROM staging.published_hours
    {{- in_range('hour_start') }}
    UNION ALL
    SELECT
        {{ hours_of('start_time') }} AS hour_start,
        0 AS published_plays,
        COUNT(*) AS plays,
        0 AS published_observations,
        0 AS observations,
        {{ 'COUNT(DISTINCT start_time)' if time else '0' }} AS moments,
        0 AS time_rows
    FROM sparkify.songplays
    {{- in_range('start_time') }}
    GROUP BY {{ hours_of('start_time') }}
    UNION ALL
    SELECT
        {{ hours_of('observed_at') }} AS hour_start,
        0 AS published_plays,
        0 AS plays,
        0 AS published_observations,
        COUNT(*) AS observations,
        0 AS moments,
        0 AS time_rows
    FROM staging.user_observations
    {{- in_range('observed_at') }}
    GROUP BY {{ hours_of('observed_at') }}
    {%- if time %}
    UNION ALL
    SELECT
        {{ hours_of('start_time') }} AS hour_start,
        0 AS published_plays,
        0 AS plays,
        0 AS published_observations,
        0 AS observations,
        0 AS moments,
        COUNT(*) AS time_rows
    FROM sparkify.time
    {{- in_range('start_time') }}
    GROUP BY {{ hours_of('start_time') }}
    {%- endif %}
) AS counted
GROUP BY hour_start
HAVING
    SUM(published_plays) <> SUM(plays)
    OR SUM(published_observations) <> SUM(observations)
    OR SUM(moments) <> SUM(time_rows)
{%- endmacro %}

{#- The songs that songs and song_observations do not agree on: wholly, so that a changed title counts too. -#}
{% macro differing_songs() -%}
SELECT song_id
FROM (
    SELECT
        song_id,
        title,
        artist_id,
        year,
        duration,
        1 AS side
    FROM sparkify.songs
    UNION ALL
    SELECT
        song_id,
        title,
        artist_id,
        NULLIF(year, 0) AS year,
        duration,
        -1 AS side
    FROM staging.song_observations
) AS both_sides
GROUP BY song_id, title, artist_id, year, duration
HAVING SUM(side) <> 0
{%- endmacro %}

{#- The artists that are in one of artists and artist_observations only, or twice. -#}
{% macro differing_artists() -%}
SELECT artist_id
FROM (
    SELECT
        artist_id,
        1 AS side
    FROM sparkify.artists
    UNION ALL
    SELECT DISTINCT
        artist_id,
        -1 AS side
    FROM staging.artist_observations
) AS both_sides
GROUP BY artist_id
HAVING SUM(side) <> 0
{%- endmacro %}

{#- The songs that are in one of song_observations and artist_observations only: each file gives both a row. -#}
{% macro torn_songs() -%}
SELECT song_id
FROM (
    SELECT
        song_id,
        1 AS side
    FROM staging.song_observations
    UNION ALL
    SELECT
        song_id,
        -1 AS side
    FROM staging.artist_observations
) AS both_sides
GROUP BY song_id
HAVING SUM(side) <> 0
{%- endmacro %}

{#- How many rows a table with a row a song has beside those of the staged songs, a number. -#}
{% macro songs_beside(staged, table) -%}
SELECT COUNT(*) AS songs
FROM {{ table }} AS known
LEFT JOIN {{ staged }} AS staged_songs
    ON known.song_id = staged_songs.song_id
WHERE staged_songs.song_id IS NULL
{%- endmacro %}

{#- How many songs the files gave, a number. -#}
{% macro published_songs() -%}
SELECT NVL((SELECT MAX(songs) FROM staging.published_catalogue), (SELECT COUNT(*) FROM sparkify.songs))
{%- endmacro %}

{#- The observations of users that no span of their level holds. -#}
{% macro observations_without_span() -%}
SELECT observations.observed_at
FROM staging.user_observations AS observations
LEFT JOIN sparkify.users AS users
    ON
        observations.user_id = users.user_id
        AND observations.level = users.level
        AND observations.observed_at >= users.valid_from
        AND observations.observed_at < users.valid_to
WHERE users.user_id IS NULL
{%- endmacro %}
