{#- The titles of plays that staging.played_titles does not know yet, without blanks around them, each with its UTC month.
    `plays`: of which plays. `start`, `end`: literals that hold all of them, so that it reads no other months. -#}
{% macro new_titles(plays, start=None, end=None) -%}
SELECT DISTINCT
    titles.month_start,
    titles.song_title,
    titles.artist_name
FROM (
    SELECT
        DATE_TRUNC('month', start_time) AS month_start,
        TRIM(song_title) AS song_title,
        TRIM(artist_name) AS artist_name
    FROM {{ plays }}
    WHERE
        song_title IS NOT NULL
        AND artist_name IS NOT NULL
) AS titles
LEFT JOIN staging.played_titles AS played_titles
    ON
        titles.month_start = played_titles.month_start
        AND titles.song_title = played_titles.song_title
        AND titles.artist_name = played_titles.artist_name
        {%- if start %}
        AND played_titles.month_start >= DATE_TRUNC('month', TIMESTAMP '{{ start }}')
        AND played_titles.month_start < TIMESTAMP '{{ end }}'
        {%- endif %}
WHERE played_titles.month_start IS NULL
{%- endmacro %}
