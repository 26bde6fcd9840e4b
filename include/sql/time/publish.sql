{% from 'reach.sql' import in_reach, in_window -%}
{% from 'time/calendar.sql' import calendar -%}
{#- `reach`: the hours that the run derives. `published`: whether these have moments already: those that plays still have
    stay. -#}
{% if mode == 'append' -%}
{% if published -%}
DELETE FROM sparkify.time
USING {{ work('events_hours') }} AS hours
WHERE
    hours.hour_start = DATE_TRUNC('hour', time.start_time)
    AND hours.is_whole
    AND {{ in_window('time.start_time', window) }}
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
        AND {{ in_reach('time.start_time', reach) | indent }}
WHERE time.start_time IS NULL
{%- endif %};
{% else -%}
DELETE FROM sparkify.time;

INSERT INTO sparkify.time (start_time, hour, day, week, month, year, weekday)
{{ calendar('sparkify.songplays') }};
{% endif -%}
