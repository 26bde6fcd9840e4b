{% from 'reach.sql' import among -%}
{#- `version`: the last batch that has landed. `keeps`: whether rows of an hour may have come in other files than those of its
    partition: then what is published stays of hours whose rows are not all kept. `most`: how many hours beside the window a run derives. -#}
UPDATE {{ work('events_hours') }}
SET version = {{ version }}
WHERE version IS NULL;

-- Published hours beside the window that rows have come for since. Those that lost rows too are left to a run of these
-- hours, whose checks judge what is taken away.
INSERT INTO {{ work('events_hours') }} (hour_start, is_whole, version)
SELECT
    late.hour_start,
    FALSE,
    {{ version }}
FROM (
    SELECT DISTINCT batch_hours.hour_start
    FROM staging.batch_hours AS batch_hours
    INNER JOIN staging.published_hours AS published
        ON batch_hours.hour_start = published.hour_start
    LEFT JOIN (
        SELECT
            hour_start,
            MAX(version) AS version
        FROM staging.retracted_hours
        GROUP BY hour_start
    ) AS retracted
        ON batch_hours.hour_start = retracted.hour_start
    WHERE
        batch_hours.since > published.version
        AND NVL(retracted.version, 0) <= published.version
        AND (
            batch_hours.hour_start < TIMESTAMP '{{ window.start_sql }}'
            OR batch_hours.hour_start >= TIMESTAMP '{{ window.end_sql }}'
        )
) AS late
ORDER BY late.hour_start
LIMIT {{ most }};

-- The hours of the window land wholly, unless rows of them were in files that the run does not look for.
UPDATE {{ work('events_hours') }}
SET is_landed = is_whole;

UPDATE {{ work('events_hours') }}
SET is_landed = published.is_landed
FROM staging.published_hours AS published
WHERE
    {{ work('events_hours') }}.hour_start = published.hour_start
    AND {{ among('published.hour_start', work('events_hours')) }}
    {%- if not keeps %}
    AND NOT {{ work('events_hours') }}.is_whole
    {%- endif %};

UPDATE {{ work('events_hours') }}
SET
    events = landed.events,
    plays = landed.plays,
    rejected_rows = landed.rejected_rows
FROM (
    SELECT
        hour_start,
        SUM(events) AS events,
        SUM(plays) AS plays,
        SUM(rejected_rows) AS rejected_rows
    FROM staging.batch_hours
    WHERE
        {{ among('hour_start', work('events_hours')) | indent }}
    GROUP BY hour_start
) AS landed
WHERE {{ work('events_hours') }}.hour_start = landed.hour_start;
