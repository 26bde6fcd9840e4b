-- Hours that others have published since stay as those have left them.
CREATE TEMP TABLE superseded_hours
DISTSTYLE ALL
AS
SELECT hours.hour_start
FROM {{ work('events_hours') }} AS hours
INNER JOIN staging.published_hours AS published
    ON hours.hour_start = published.hour_start
WHERE published.version > hours.version;

{% for table, column in (
    ('songplays_candidate', 'start_time'), ('users_candidate', 'observed_at'), ('time_candidate', 'start_time'),
    ('events_users', 'hour_start'), ('events_hours', 'hour_start'),
) -%}
DELETE FROM {{ work(table) }}
USING superseded_hours
WHERE DATE_TRUNC('hour', {{ work(table) }}.{{ column }}) = superseded_hours.hour_start;

{% endfor -%}
DROP TABLE superseded_hours;
