-- One row a published window: what was loaded, from how many files, by which run. "Certified up to" is the end
-- of the last window here. DISTSTYLE ALL: small. SORTKEY window_start: read in its order.
CREATE TABLE IF NOT EXISTS sparkify.load_history (
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    log_files BIGINT NOT NULL,
    song_files BIGINT NOT NULL,
    events_staged BIGINT NOT NULL,
    events_in_window BIGINT NOT NULL,
    songplays BIGINT NOT NULL,
    other_pages BIGINT NOT NULL,
    rejected_rows BIGINT NOT NULL,
    users BIGINT NOT NULL,
    songs BIGINT NOT NULL,
    artists BIGINT NOT NULL,
    time_rows BIGINT NOT NULL,
    published_at TIMESTAMP NOT NULL,
    PRIMARY KEY (window_start, window_end)
)
DISTSTYLE ALL
SORTKEY (window_start);
