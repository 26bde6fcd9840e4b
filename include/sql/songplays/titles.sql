{#- The titles of plays, without blanks around them, by the UTC months in which they were played, with the first day of
    each: those that staging.played_titles does not hold yet, or not from that day on. `plays`: of which plays. `start`,
    `end`: literals that hold all of them, so that it reads no other months. -#}
{% macro new_titles(plays, start=None, end=None) -%}
SELECT
    titles.first_day,
    titles.song_title,
    titles.artist_name
FROM (
    SELECT
        DATE_TRUNC('month', start_time) AS month_start,
        DATE_TRUNC('day', MIN(start_time)) AS first_day,
        TRIM(song_title) AS song_title,
        TRIM(artist_name) AS artist_name
    FROM {{ plays }}
    WHERE
        song_title IS NOT NULL
        AND artist_name IS NOT NULL
    GROUP BY DATE_TRUNC('month', start_time), TRIM(song_title), TRIM(artist_name)
) AS titles
LEFT JOIN staging.played_titles AS played_titles
    ON
        titles.song_title = played_titles.song_title
        AND titles.artist_name = played_titles.artist_name
        AND titles.month_start = DATE_TRUNC('month', played_titles.first_day)
        AND titles.first_day >= played_titles.first_day
        {%- if start %}
        AND played_titles.first_day >= DATE_TRUNC('month', TIMESTAMP '{{ start }}')
        AND played_titles.first_day < TIMESTAMP '{{ end }}'
        {%- endif %}
WHERE played_titles.first_day IS NULL
{%- endmacro %}
