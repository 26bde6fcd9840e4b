-- Latest loads
-- One row per published window, regardless of the period, latest first. events_staged, the events of the
-- files that the run read first, and landed_before, what runs before had read of its window, are together the sum of plays,
-- their duplicates, events of other pages, events outside the window and rejected events.
SELECT
    published_at,
    window_start,
    window_end,
    events_staged,
    landed_before,
    songplays,
    duplicate_plays,
    other_pages,
    events_outside,
    rejected_events,
    rejected_songs,
    log_files,
    song_files,
    run_id
FROM sparkify.load_history
ORDER BY published_at DESC, window_start DESC
LIMIT {{ row_limit }};
