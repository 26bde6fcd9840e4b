{% from 'time/calendar.sql' import calendar -%}
{#- `published`: whether the window has moments already. -#}
{% if mode == 'append' -%}
{% if published -%}
DELETE FROM sparkify.time
WHERE
    start_time >= TIMESTAMP '{{ window.start_sql }}'
    AND start_time < TIMESTAMP '{{ window.end_sql }}';
{%- endif %}

INSERT INTO sparkify.time (start_time, hour, day, week, month, year, weekday)
SELECT
    start_time,
    hour,
    day,
    week,
    month,
    year,
    weekday
FROM {{ candidate }};
{% else -%}
DELETE FROM sparkify.time;

INSERT INTO sparkify.time (start_time, hour, day, week, month, year, weekday)
{{ calendar('sparkify.songplays') }};
{% endif -%}
