{% from 'time/calendar.sql' import calendar -%}
{#- `published`: whether the window has moments already: those that plays still have stay. -#}
{% if mode == 'append' -%}
{% if published -%}
DELETE FROM sparkify.time
WHERE
    start_time >= TIMESTAMP '{{ window.start_sql }}'
    AND start_time < TIMESTAMP '{{ window.end_sql }}'
    AND NOT EXISTS (
        SELECT 1
        FROM {{ candidate }} AS moments
        WHERE moments.start_time = time.start_time
    );
{%- endif %}

INSERT INTO sparkify.time (start_time, hour, day, week, month, year, weekday)
SELECT
    moments.start_time,
    moments.hour,
    moments.day,
    moments.week,
    moments.month,
    moments.year,
    moments.weekday
FROM {{ candidate }} AS moments
{%- if published %}
LEFT JOIN sparkify.time AS time
    ON
        moments.start_time = time.start_time
        AND time.start_time >= TIMESTAMP '{{ window.start_sql }}'
        AND time.start_time < TIMESTAMP '{{ window.end_sql }}'
WHERE time.start_time IS NULL
{%- endif %};
{% else -%}
DELETE FROM sparkify.time;

INSERT INTO sparkify.time (start_time, hour, day, week, month, year, weekday)
{{ calendar('sparkify.songplays') }};
{% endif -%}
