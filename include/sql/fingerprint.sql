{#- One row a published table: its rows, and a sum over its rows of a digest of each. Equal tables have equal
    sums whatever the order of their rows; the surrogate key songplay_id is left out. A value counts with its
    length, so that no two rows read alike. -#}
{% set tables = {
    'songplays': {
        'start_time': 'time', 'user_id': 'number', 'level': 'text', 'song_id': 'text', 'artist_id': 'text',
        'session_id': 'number', 'item_in_session': 'number', 'location': 'text', 'user_agent': 'text',
        'song_title': 'text', 'artist_name': 'text', 'song_length': 'number',
    },
    'users': {
        'user_id': 'number', 'first_name': 'text', 'last_name': 'text', 'gender': 'text', 'level': 'text',
        'valid_from': 'time', 'valid_to': 'time', 'is_current': 'flag',
    },
    'songs': {
        'song_id': 'text', 'title': 'text', 'artist_id': 'text', 'year': 'number', 'duration': 'number',
    },
    'artists': {
        'artist_id': 'text', 'name': 'text', 'location': 'text', 'latitude': 'number', 'longitude': 'number',
    },
    'time': {
        'start_time': 'time', 'hour': 'number', 'day': 'number', 'week': 'number', 'month': 'number',
        'year': 'number', 'weekday': 'number',
    },
} -%}
{% set as_text = {
    'text': '%s',
    'number': 'CAST(%s AS VARCHAR(64))',
    'time': "TO_CHAR(%s, 'YYYY-MM-DD HH24:MI:SS.US')",
    'flag': "CASE WHEN %s THEN 'yes' ELSE 'no' END",
} -%}
{% for table, columns in tables.items() -%}
SELECT
    '{{ table }}' AS table_name,
    COUNT(*) AS row_count,
    NVL(SUM(CAST(STRTOL(SUBSTRING(MD5(row_text), 1, 15), 16) AS DECIMAL(38, 0))), 0) AS digest
FROM (
    SELECT
        {% for column, kind in columns.items() -%}
        {% set value = as_text[kind] | format(column) -%}
        {{ '|| ' if not loop.first -}}
        NVL(CAST(OCTET_LENGTH({{ value }}) AS VARCHAR(8)) || ':' || {{ value }}, '-') {{- ' AS row_text' if loop.last }}
        {% endfor -%}
    FROM sparkify.{{ table }}
) AS {{ table }}_rows
{% if not loop.last -%}
UNION ALL
{% endif -%}
{% endfor -%}
