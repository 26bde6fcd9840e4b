{% set in_window -%}
ts >= TIMESTAMP '{{ window.start_sql }}'
            AND ts < TIMESTAMP '{{ window.end_sql }}'
{%- endset -%}
{% set rules = [
    ('ts', 'ts is not in the UTC day of the file, which only the windows of that day read',
     "ts < TIMESTAMP '" ~ window.days_start_sql ~ "' OR ts >= TIMESTAMP '" ~ window.days_end_sql ~ "'"),
    ('page', 'page is NextSong but for case or blanks',
     in_window ~ " AND LOWER(TRIM(page)) = 'nextsong' AND page || '.' <> 'NextSong.'"),
    ('userId', 'a NextSong event without userId', in_window ~ " AND page = 'NextSong' AND user_id IS NULL"),
    ('sessionId', 'a NextSong event without sessionId', in_window ~ " AND page = 'NextSong' AND session_id IS NULL"),
    ('itemInSession', 'a NextSong event without itemInSession',
     in_window ~ " AND page = 'NextSong' AND item_in_session IS NULL"),
    ('level', 'level is neither free nor paid',
     in_window ~ " AND (level || '.' NOT IN ('free.', 'paid.') OR (level IS NULL AND page = 'NextSong'))"),
] -%}
-- Events that COPY took and the model cannot: an event of another hour is left to that hour's window, what is
-- wrong here goes from the landing table to the rejected rows. With a point behind it, a text counts with the blanks
-- at its end, which Redshift would not compare. The file is that of the event's day; of an event of
-- no day of the window it is known only where there is but one.
INSERT INTO {{ work('events_rejected') }} (
    file_name, object_key, etag, hour_start, column_name, reason, raw_line
)
SELECT
    {{ quote('s3://' ~ stage.s3_bucket ~ '/') }} || NVL(files.object_key, only_file.object_key) AS file_name,
    NVL(files.object_key, only_file.object_key),
    NVL(files.etag, only_file.etag),
    CASE WHEN broken.rule > 1 THEN DATE_TRUNC('hour', broken.ts) END AS hour_start,
    CASE broken.rule
        {% for column, _, _ in rules -%}
        WHEN {{ loop.index }} THEN '{{ column }}'
        {% endfor -%}
    END AS column_name,
    CASE broken.rule
        {% for _, reason, _ in rules -%}
        WHEN {{ loop.index }} THEN '{{ reason }}'
        {% endfor -%}
    END AS reason,
    broken.raw_line
FROM (
    SELECT
        ts,
        CASE
            {% for _, _, condition in rules -%}
            WHEN {{ condition }} THEN {{ loop.index }}
            {% endfor -%}
        END AS rule,
        'ts ' || TO_CHAR(ts, 'YYYY-MM-DD HH24:MI:SS.MS')
        || ', page ' || page
        || ', userId ' || NVL(CAST(user_id AS VARCHAR(32)), 'null')
        || ', level ' || NVL(level, 'null')
        || ', sessionId ' || NVL(CAST(session_id AS VARCHAR(32)), 'null')
        || ', itemInSession ' || NVL(CAST(item_in_session AS VARCHAR(32)), 'null')
        || ', song ' || NVL(song, 'null')
        || ', artist ' || NVL(artist, 'null') AS raw_line
    FROM {{ work('events') }}
) AS broken
LEFT JOIN {{ work('events_files') }} AS files
    ON DATE_TRUNC('hour', broken.ts) = files.hour_start
LEFT JOIN (
    SELECT
        MIN(object_key) AS object_key,
        MIN(etag) AS etag
    FROM {{ work('events_files') }}
    HAVING COUNT(DISTINCT object_key) = 1
) AS only_file
    ON files.object_key IS NULL
WHERE broken.rule IS NOT NULL;

DELETE FROM {{ work('events') }}
WHERE
    {% for _, _, condition in rules -%}
    ({{ condition }})
    {%- if not loop.last %}
    OR {% endif %}
    {%- endfor %};
