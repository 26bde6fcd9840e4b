-- The windows of the history, and how many rows each left out.
SELECT
    window_start,
    window_end,
    rejected_events + rejected_songs AS rejected
FROM sparkify.load_history
ORDER BY window_start, window_end;
