{% from 'text.sql' import text, title -%}
{#- Songs with their artists, as their files said: those that were published, or those of a run's candidates. `join`: INNER,
    or LEFT where a song without an artist counts. `of`: only songs of this relation, which has each song_id once. -#}
{% macro songs_and_artists(
    songs='staging.song_observations', artists='staging.artist_observations', join='INNER', of=none
) -%}
SELECT
    songs.song_id,
    songs.title,
    songs.artist_id,
    songs.year,
    songs.duration,
    artists.artist_name,
    artists.artist_location,
    artists.artist_latitude,
    artists.artist_longitude
FROM {{ songs }} AS songs
{%- if of %}
INNER JOIN {{ of }} AS of_these
    ON songs.song_id = of_these.song_id
{%- endif %}
{{ join }} JOIN {{ artists }} AS artists
    ON songs.song_id = artists.song_id
{%- endmacro %}

{#- All that is said of the staged songs: by the staged files, and, unless the run stages all files, by what was
    published of these songs (is_staged: 0). `catalogue`: the run's work table songs_catalogue. -#}
{% macro stated_songs(files, catalogue) -%}
SELECT
    RTRIM(song_id) AS song_id,
    {{ title('title') }} AS title,
    {{ text('artist_id') }} AS artist_id,
    year,
    duration,
    {{ text('artist_name') }} AS artist_name,
    {{ text('artist_location') }} AS artist_location,
    artist_latitude,
    artist_longitude,
    1 AS is_staged
FROM {{ files }}
UNION ALL
SELECT
    observed.song_id,
    observed.title,
    observed.artist_id,
    observed.year,
    observed.duration,
    observed.artist_name,
    observed.artist_location,
    observed.artist_latitude,
    observed.artist_longitude,
    0 AS is_staged
FROM (
    {{ songs_and_artists(of='(SELECT DISTINCT RTRIM(song_id) AS song_id FROM ' ~ files ~ ')') | indent }}
) AS observed
CROSS JOIN {{ catalogue }} AS catalogue
WHERE NOT catalogue.is_whole
{%- endmacro %}

{#- One row a staged song. Where several files hold one song_id, the same one is chosen whichever run staged which. -#}
{% macro choice(files, catalogue) -%}
SELECT
    song_id,
    title,
    artist_id,
    year,
    duration,
    artist_name,
    artist_location,
    artist_latitude,
    artist_longitude
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY song_id
            ORDER BY
                title ASC NULLS LAST, artist_id ASC NULLS LAST, artist_name ASC NULLS LAST,
                duration ASC NULLS LAST, year ASC NULLS LAST, artist_location ASC NULLS LAST,
                artist_latitude ASC NULLS LAST, artist_longitude ASC NULLS LAST
        ) AS occurrence
    FROM (
        {{ stated_songs(files, catalogue) | indent(8) }}
    ) AS stated
) AS occurrences
WHERE occurrence = 1
{%- endmacro %}

{#- Which published catalogue a query sees, a text: no two have the same, also where what is known of the first was
    forgotten. NULL before the first one. Of staging.published_catalogue. -#}
{% macro version_of_catalogue() -%}
MAX(CAST(version AS VARCHAR(20)) || ' by ' || run_id)
{%- endmacro %}
