{% from 'time/calendar.sql' import calendar -%}
{% if mode == 'append' -%}
DELETE FROM sparkify.time
WHERE
    start_time >= TIMESTAMP '{{ window.start_sql }}'
    AND start_time < TIMESTAMP '{{ window.end_sql }}';

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
