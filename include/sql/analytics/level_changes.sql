-- Upgrades and downgrades, by day
-- One row per UTC day with changes of subscription level. A change is dated by the user's first event at the
-- new level. A user's first level is not a change; a user who upgrades and downgrades on the same day counts
-- in both.
WITH spans AS (
    SELECT
        valid_from,
        level,
        LAG(level) OVER (PARTITION BY user_id ORDER BY valid_from) AS previous_level
    FROM sparkify.users
)

SELECT
    TRUNC(valid_from) AS day,
    SUM(CASE WHEN previous_level = 'free' AND level = 'paid' THEN 1 ELSE 0 END) AS upgrades,
    SUM(CASE WHEN previous_level = 'paid' AND level = 'free' THEN 1 ELSE 0 END) AS downgrades
FROM spans
WHERE
    previous_level IS NOT NULL
    AND valid_from >= TIMESTAMP '{{ period_start }}'
    AND valid_from < TIMESTAMP '{{ period_end }}'
GROUP BY TRUNC(valid_from)
ORDER BY day ASC
LIMIT {{ row_limit }};
