SELECT
    (
        SELECT COUNT(*)
        FROM (
            SELECT {{ column }} AS child_key
            FROM {{ relation }}
        ) AS children
        WHERE
            child_key IS NOT NULL
            {%- for parent in to %}
            AND NOT EXISTS (
                SELECT 1
                FROM {{ parent }}
                WHERE {{ to_column }} = children.child_key
            )
            {%- endfor %}
    ) AS observed,
    (
        SELECT COUNT({{ column }})
        FROM {{ relation }}
    ) AS rows_checked;
