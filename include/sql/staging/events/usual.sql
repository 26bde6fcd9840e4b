{#- What is usual for the log files, by the hours that are published: for the checks of the source. -#}

{#- One row: how long the app was silent at the end of the window, and how long it usually is.

    events: what has landed. run_hours: those of the run. events of the result: in the window. last_event: the last one of the
    window's days before its end. last_hour: else the last hour with plays or users. is_known: whether the silence began there, and not in hours of which nothing is
    known. silent_hours: whole hours without events, at least. usual_hours: the most that followed each other in the
    `days` before the window's end, without those that are silent still. known_hours: of these days, published or in the
    window; where they are fewer than `enough_days`, usual_hours is `else_hours`. -#}
{% macro silence(events, run_hours, window, days, enough_days, else_hours) -%}
WITH staged AS (
    SELECT
        MAX(ts) AS last_event,
        COUNT(CASE WHEN ts >= TIMESTAMP '{{ window.start_sql }}' THEN 1 END) AS events
    FROM {{ events }}
    WHERE
        ts >= TIMESTAMP '{{ window.days_start_sql }}'
        AND ts < TIMESTAMP '{{ window.end_sql }}'
),

busy_hours AS (
    SELECT DISTINCT DATE_TRUNC('hour', ts) AS hour_start
    FROM {{ events }}
    WHERE
        ts >= TIMESTAMP '{{ window.start_sql }}'
        AND ts < TIMESTAMP '{{ window.end_sql }}'
),

hours AS (
    SELECT
        hour_start,
        CASE WHEN songplays + user_observations > 0 THEN 1 ELSE 0 END AS is_busy
    FROM staging.published_hours
    WHERE
        hour_start >= DATEADD(DAY, -{{ days }}, TIMESTAMP '{{ window.end_sql }}')
        AND hour_start < TIMESTAMP '{{ window.start_sql }}'
    UNION ALL
    SELECT DISTINCT
        run_hours.hour_start,
        CASE WHEN busy_hours.hour_start IS NULL THEN 0 ELSE 1 END AS is_busy
    FROM {{ run_hours }} AS run_hours
    LEFT JOIN busy_hours
        ON run_hours.hour_start = busy_hours.hour_start
    WHERE
        run_hours.is_whole
        AND run_hours.hour_start >= DATEADD(DAY, -{{ days }}, TIMESTAMP '{{ window.end_sql }}')
),

heard AS (
    SELECT
        COUNT(*) AS known_hours,
        MAX(CASE WHEN is_busy = 1 THEN hour_start END) AS last_hour
    FROM hours
),

-- The difference of an hour and its number is the same for those that follow each other.
empty_hours AS (
    SELECT
        DATEDIFF(HOUR, TIMESTAMP '{{ window.start_sql }}', hours.hour_start)
        - ROW_NUMBER() OVER (ORDER BY hours.hour_start) AS span
    FROM hours
    INNER JOIN heard
        ON hours.hour_start < heard.last_hour
    WHERE hours.is_busy = 0
),

spans AS (
    SELECT COUNT(*) AS hours
    FROM empty_hours
    GROUP BY span
),

longest AS (
    SELECT NVL(MAX(hours), 0) AS hours
    FROM spans
),

since AS (
    SELECT COUNT(*) AS hours
    FROM hours
    INNER JOIN heard
        ON hours.hour_start > heard.last_hour
),

known AS (
    SELECT
        staged.events,
        staged.last_event,
        heard.last_hour,
        heard.known_hours,
        longest.hours AS longest,
        CASE
            WHEN staged.last_event IS NOT NULL THEN 1
            WHEN since.hours = DATEDIFF(HOUR, heard.last_hour, TIMESTAMP '{{ window.end_sql }}') - 1 THEN 1
            ELSE 0
        END AS is_known
    FROM staged
    CROSS JOIN heard
    CROSS JOIN since
    CROSS JOIN longest
)

SELECT
    events,
    last_event,
    last_hour,
    known_hours,
    is_known,
    CASE
        WHEN is_known = 1 THEN DATEDIFF(HOUR, NVL(last_event, last_hour), TIMESTAMP '{{ window.end_sql }}') - 1
        ELSE DATEDIFF(HOUR, TIMESTAMP '{{ window.days_start_sql }}', TIMESTAMP '{{ window.end_sql }}')
    END AS silent_hours,
    CASE WHEN known_hours < 24 * {{ enough_days }} THEN {{ else_hours }} ELSE longest END AS usual_hours
FROM known
{%- endmacro %}

{#- For each hour of the window, the mean of the plays of the same hours of the `weeks` before it, and of how many of
    these; hours within the window are none of them. -#}
{% macro plays_of_weeks_before(run_hours, window, weeks) -%}
WITH hours AS (
    SELECT DISTINCT hour_start
    FROM {{ run_hours }}
    WHERE is_whole
),

before AS (
    {%- for week in range(1, weeks + 1) %}
    SELECT
        DATEADD(DAY, {{ 7 * week }}, hour_start) AS hour_start,
        songplays
    FROM staging.published_hours
    WHERE
        hour_start >= DATEADD(DAY, -{{ 7 * week }}, TIMESTAMP '{{ window.start_sql }}')
        AND hour_start < DATEADD(DAY, -{{ 7 * week }}, TIMESTAMP '{{ window.end_sql }}')
        AND hour_start < TIMESTAMP '{{ window.start_sql }}'
    {%- if not loop.last %}
    UNION ALL
    {%- endif %}
    {%- endfor %}
)

SELECT
    hours.hour_start,
    COUNT(before.hour_start) AS weeks,
    AVG(CAST(before.songplays AS DOUBLE PRECISION)) AS songplays
FROM hours
LEFT JOIN before
    ON hours.hour_start = before.hour_start
GROUP BY hours.hour_start
{%- endmacro %}
