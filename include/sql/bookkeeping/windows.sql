-- The windows of the history, how many rows each left out, and whether rows of its hours are still kept; NULL
-- where other runs have published all of its hours since: then theirs count. Windows that overlap count too,
-- as a run over more hours, though it failed, has put its own rows in the place of these.
WITH latest AS (
    SELECT DISTINCT run_id
    FROM staging.published_hours
),

kept AS (
    SELECT DISTINCT
        window_start,
        window_end
    FROM sparkify.rejected_rows
)

SELECT
    history.window_start,
    history.window_end,
    history.rejected_events + history.rejected_songs AS rejected,
    CASE WHEN COUNT(latest.run_id) > 0 THEN COUNT(kept.window_start) END AS kept_windows
FROM sparkify.load_history AS history
LEFT JOIN latest
    ON history.run_id = latest.run_id
LEFT JOIN kept
    ON
        history.window_start < kept.window_end
        AND history.window_end > kept.window_start
GROUP BY history.window_start, history.window_end, history.rejected_events, history.rejected_songs
ORDER BY history.window_start, history.window_end;
