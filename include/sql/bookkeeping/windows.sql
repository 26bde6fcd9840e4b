-- The windows of the history, how many rows each left out, and whether these are still kept.
SELECT
    history.window_start,
    history.window_end,
    history.rejected_events + history.rejected_songs AS rejected,
    COUNT(rejected_rows.reason) AS kept
FROM sparkify.load_history AS history
LEFT JOIN sparkify.rejected_rows AS rejected_rows
    ON
        history.window_start = rejected_rows.window_start
        AND history.window_end = rejected_rows.window_end
GROUP BY history.window_start, history.window_end, history.rejected_events, history.rejected_songs
ORDER BY history.window_start, history.window_end;
