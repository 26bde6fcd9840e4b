{% from 'reach.sql' import in_reach, in_window -%}
{#- append derives the timeline of the users that the run touches, from the start of its `reach` to the first observation
    behind its end; before and after that no row can change. truncate derives every timeline whole. `published`:
    whether the reach has observations already. -#}
{% set columns = ['user_id', 'observed_at', 'level', 'first_name', 'last_name', 'gender'] -%}
{% set scope_start = reach.start_sql if mode == 'append' else '0001-01-01 00:00:00' -%}
{% set scope_end = reach.end_sql if mode == 'append' else '9999-12-31 00:00:00' -%}
CREATE TEMP TABLE touched_users
DISTSTYLE KEY
DISTKEY (user_id)
AS
WITH touched AS (
    SELECT user_id FROM {{ candidate }}
    {%- if mode == 'truncate' %}
    UNION
    SELECT user_id
    FROM staging.user_observations
    {%- elif published %}
    UNION
    SELECT observations.user_id
    FROM staging.user_observations AS observations
    INNER JOIN {{ work('events_hours') }} AS hours
        ON DATE_TRUNC('hour', observations.observed_at) = hours.hour_start
    WHERE
        hours.is_whole
        AND {{ in_window('observations.observed_at', window) | indent }}
    {%- endif %}
),

users AS (
    SELECT DISTINCT user_id
    FROM touched
),

next_observations AS (
    SELECT
        observations.user_id,
        MIN(observations.observed_at) AS next_observed_at
    FROM staging.user_observations AS observations
    INNER JOIN users
        ON observations.user_id = users.user_id
    WHERE observations.observed_at >= TIMESTAMP '{{ scope_end }}'
    GROUP BY observations.user_id
)

SELECT
    users.user_id,
    next_observations.next_observed_at
FROM users
LEFT JOIN next_observations
    ON users.user_id = next_observations.user_id;

{% if published -%}
{% macro not_in_candidate() -%}
AND NOT EXISTS (
        SELECT 1
        FROM {{ candidate }} AS seen
        WHERE
            {% for column in columns -%}
            {% if column in ('user_id', 'observed_at', 'level') -%}
            seen.{{ column }} = user_observations.{{ column }}
            {%- else -%}
            NVL(seen.{{ column }}, '') = NVL(user_observations.{{ column }}, '')
            {%- endif %}
            {%- if not loop.last %}
            AND {% endif %}
            {%- endfor %}
    )
{%- endmacro -%}
DELETE FROM staging.user_observations
USING {{ work('events_hours') }} AS hours
WHERE
    hours.hour_start = DATE_TRUNC('hour', user_observations.observed_at)
    AND hours.is_whole
    AND {{ in_window('user_observations.observed_at', window) }}
    {{ not_in_candidate() }};

{% if late -%}
DELETE FROM staging.user_observations
USING {{ work('events_users') }} AS users
WHERE
    users.user_id = user_observations.user_id
    AND users.hour_start = DATE_TRUNC('hour', user_observations.observed_at)
    AND {{ in_reach('user_observations.observed_at', reach) }}
    {{ not_in_candidate() }};

{% endif -%}
{% endif -%}
INSERT INTO staging.user_observations ({{ columns | join(', ') }})
SELECT
    {% for column in columns -%}
    seen.{{ column }}{{ ',' if not loop.last }}
    {% endfor -%}
FROM {{ candidate }} AS seen
{%- if published %}
LEFT JOIN staging.user_observations AS known
    ON
        seen.user_id = known.user_id
        AND seen.observed_at = known.observed_at
        AND {{ in_reach('known.observed_at', reach) | indent }}
WHERE known.user_id IS NULL
{%- endif %};

-- The starts of spans within the scope: an observation whose level differs from the one before it. The span
-- that the scope begins in is known from users itself.
CREATE TEMP TABLE span_starts
DISTSTYLE KEY
DISTKEY (user_id)
AS
WITH sequence_of_levels AS (
    SELECT
        users.user_id,
        users.valid_from AS observed_at,
        users.level,
        users.first_name,
        users.last_name,
        users.gender,
        TRUE AS is_before_scope
    FROM sparkify.users AS users
    INNER JOIN touched_users
        ON users.user_id = touched_users.user_id
    WHERE
        users.valid_from < TIMESTAMP '{{ scope_start }}'
        AND users.valid_to >= TIMESTAMP '{{ scope_start }}'
    UNION ALL
    SELECT
        observations.user_id,
        observations.observed_at,
        observations.level,
        observations.first_name,
        observations.last_name,
        observations.gender,
        FALSE AS is_before_scope
    FROM staging.user_observations AS observations
    INNER JOIN touched_users
        ON observations.user_id = touched_users.user_id
    WHERE
        observations.observed_at >= TIMESTAMP '{{ scope_start }}'
        AND (
            observations.observed_at < TIMESTAMP '{{ scope_end }}'
            OR observations.observed_at = touched_users.next_observed_at
        )
),

neighbours AS (
    SELECT
        user_id,
        observed_at,
        level,
        first_name,
        last_name,
        gender,
        is_before_scope,
        LAG(level) OVER (PARTITION BY user_id ORDER BY observed_at) AS previous_level
    FROM sequence_of_levels
)

SELECT
    user_id,
    observed_at AS valid_from,
    level,
    first_name,
    last_name,
    gender
FROM neighbours
WHERE
    NOT is_before_scope
    AND (previous_level IS NULL OR previous_level <> level);

DELETE FROM sparkify.users
{% if mode == 'append' -%}
USING touched_users
WHERE
    users.user_id = touched_users.user_id
    AND users.valid_from >= TIMESTAMP '{{ scope_start }}'
    AND users.valid_from <= NVL(touched_users.next_observed_at, TIMESTAMP '9999-12-31 00:00:00')
    AND NOT EXISTS (
        SELECT 1
        FROM span_starts
        WHERE
            span_starts.user_id = users.user_id
            AND span_starts.valid_from = users.valid_from
            AND span_starts.level = users.level
            {% for column in ('first_name', 'last_name', 'gender') -%}
            AND NVL(span_starts.{{ column }}, '') = NVL(users.{{ column }}, '')
            {%- if not loop.last %}
            {% endif %}
            {%- endfor %}
    )
{%- endif %};

INSERT INTO sparkify.users (
    user_id, first_name, last_name, gender, level, valid_from, valid_to, is_current
)
SELECT
    span_starts.user_id,
    span_starts.first_name,
    span_starts.last_name,
    span_starts.gender,
    span_starts.level,
    span_starts.valid_from,
    TIMESTAMP '9999-12-31 00:00:00',
    TRUE
FROM span_starts
{%- if mode == 'append' %}
LEFT JOIN sparkify.users AS users
    ON
        span_starts.user_id = users.user_id
        AND span_starts.valid_from = users.valid_from
WHERE users.user_id IS NULL
{%- endif %};

-- Each span ends where the next one of the user begins. One that ended before the scope ends there still.
CREATE TEMP TABLE span_ends
DISTSTYLE KEY
DISTKEY (user_id)
AS
SELECT
    users.user_id,
    users.valid_from,
    NVL(
        LEAD(users.valid_from) OVER (PARTITION BY users.user_id ORDER BY users.valid_from),
        TIMESTAMP '9999-12-31 00:00:00'
    ) AS valid_to
FROM sparkify.users AS users
INNER JOIN touched_users
    ON users.user_id = touched_users.user_id
WHERE users.valid_to >= TIMESTAMP '{{ scope_start }}';

UPDATE sparkify.users
SET
    valid_to = span_ends.valid_to,
    is_current = (span_ends.valid_to = TIMESTAMP '9999-12-31 00:00:00')
FROM span_ends
WHERE
    users.user_id = span_ends.user_id
    AND users.valid_from = span_ends.valid_from
    AND users.valid_to >= TIMESTAMP '{{ scope_start }}'
    AND (
        users.valid_to <> span_ends.valid_to
        OR users.is_current <> (span_ends.valid_to = TIMESTAMP '9999-12-31 00:00:00')
    );
