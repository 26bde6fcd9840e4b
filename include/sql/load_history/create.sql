-- One row a published window: what was loaded, from how many files, by which run. The view
-- certified_windows says up to when the data is whole. What was in the files adds up:
--   events_staged + landed_before = events_in_window + events_outside + rejected_events
--   events_in_window = songplays + duplicate_plays + other_pages
-- events_staged: the rows of the files that the run read, which it did if no run had before; landed_before: what earlier runs
-- had read of the window.
-- DISTSTYLE ALL: small. SORTKEY window_start: read in its order.
CREATE TABLE IF NOT EXISTS sparkify.load_history (
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    log_files BIGINT NOT NULL,
    song_files BIGINT NOT NULL,
    events_staged BIGINT NOT NULL,
    events_in_window BIGINT NOT NULL,
    events_outside BIGINT NOT NULL,
    songplays BIGINT NOT NULL,
    duplicate_plays BIGINT NOT NULL,
    other_pages BIGINT NOT NULL,
    rejected_events BIGINT NOT NULL,
    rejected_songs BIGINT NOT NULL,
    users BIGINT NOT NULL,
    songs BIGINT NOT NULL,
    artists BIGINT NOT NULL,
    time_rows BIGINT NOT NULL,
    published_at TIMESTAMP NOT NULL,
    landed_before BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (window_start, window_end)
)
DISTSTYLE ALL
SORTKEY (window_start);
