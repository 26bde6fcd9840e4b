{#- `earliest`, `latest`: what ts may be in files of this batch, literals of TIMESTAMP. `file`: the one file of the batch; none
    where it has several, of which COPY does not say whose a row is: where each span of time has `one_key`, the file of the
    event's time is named. -#}
{% set rules = [
    ('ts', 'ts is too far from the time that the file is of', "ts < TIMESTAMP '" ~ earliest ~ "' OR ts >= TIMESTAMP '" ~ latest ~ "'"),
    ('page', 'page is NextSong but for case or blanks', "LOWER(TRIM(page)) = 'nextsong' AND page || '.' <> 'NextSong.'"),
    ('userId', 'a NextSong event without userId', "page = 'NextSong' AND user_id IS NULL"),
    ('sessionId', 'a NextSong event without sessionId', "page = 'NextSong' AND session_id IS NULL"),
    ('itemInSession', 'a NextSong event without itemInSession', "page = 'NextSong' AND item_in_session IS NULL"),
    ('level', 'level is neither free nor paid',
     "level || '.' NOT IN ('free.', 'paid.') OR (level IS NULL AND page = 'NextSong')"),
] -%}
-- Events that COPY took and the model cannot: what is wrong here goes from the copied rows to the rejected ones. With a
-- point behind it, a text counts with the blanks at its end, which Redshift would not compare.
INSERT INTO {{ work('events_rejected') }} (
    file_name, object_key, etag, hour_start, column_name, reason, raw_line
)
SELECT
    {% if file -%}
    {{ quote('s3://' ~ stage.s3_bucket ~ '/' ~ file.object_key) }} AS file_name,
    {{ quote(file.object_key) }} AS object_key,
    {{ quote(file.etag) }} AS etag,
    {% elif one_key -%}
    {{ quote('s3://' ~ stage.s3_bucket ~ '/') }} || files.object_key AS file_name,
    files.object_key,
    files.etag,
    {% else -%}
    CAST(NULL AS VARCHAR(1024)) AS file_name,
    CAST(NULL AS VARCHAR(1024)) AS object_key,
    CAST(NULL AS VARCHAR(128)) AS etag,
    {% endif -%}
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
    FROM {{ work('events_copied') }}
) AS broken
{%- if one_key and not file %}
LEFT JOIN {{ work('events_landing') }} AS files
    ON
        broken.ts >= files.partition_start
        AND broken.ts < files.partition_end
{%- endif %}
WHERE broken.rule IS NOT NULL;

DELETE FROM {{ work('events_copied') }}
WHERE
    {% for _, _, condition in rules -%}
    ({{ condition }})
    {%- if not loop.last %}
    OR {% endif %}
    {%- endfor %};
