-- Counts that add up, rows that were rejected, checks that warn. What was counted before had no rejected rows.
ALTER TABLE sparkify.load_history RENAME TO load_history_version_0;

CREATE TABLE sparkify.load_history (
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
    PRIMARY KEY (window_start, window_end)
)
DISTSTYLE ALL
SORTKEY (window_start);

INSERT INTO sparkify.load_history (
    window_start, window_end, run_id, log_files, song_files, events_staged, events_in_window, events_outside,
    songplays, duplicate_plays, other_pages, rejected_events, rejected_songs, users, songs, artists, time_rows,
    published_at
)
SELECT
    window_start,
    window_end,
    run_id,
    log_files,
    song_files,
    events_staged,
    events_in_window,
    events_staged - events_in_window,
    songplays,
    events_in_window - songplays - other_pages,
    other_pages,
    rejected_rows,
    0,
    users,
    songs,
    artists,
    time_rows,
    published_at
FROM sparkify.load_history_version_0;

DROP TABLE sparkify.load_history_version_0;

ALTER TABLE sparkify.quality_results RENAME TO quality_results_version_0;

CREATE TABLE sparkify.quality_results (
    run_id VARCHAR(512) NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    table_name VARCHAR(64) NOT NULL,
    check_name VARCHAR(128) NOT NULL,
    severity VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    observed DOUBLE PRECISION,
    rows_checked BIGINT,
    warn_if VARCHAR(64),
    error_if VARCHAR(64),
    detail VARCHAR(4096),
    checked_at TIMESTAMP DEFAULT GETDATE() NOT NULL
)
DISTSTYLE EVEN
SORTKEY (checked_at);

INSERT INTO sparkify.quality_results (
    run_id, window_start, window_end, table_name, check_name, severity, status, observed, warn_if, error_if,
    checked_at
)
SELECT
    run_id,
    window_start,
    window_end,
    table_name,
    check_name,
    severity,
    CASE WHEN status = 'failed' AND severity = 'warn' THEN 'warned' ELSE status END,
    observed,
    CASE WHEN severity = 'warn' THEN threshold END,
    CASE WHEN severity = 'error' THEN threshold END,
    checked_at
FROM sparkify.quality_results_version_0;

DROP TABLE sparkify.quality_results_version_0;

-- It was reserved, and empty.
DROP TABLE sparkify.rejected_rows;

CREATE TABLE sparkify.rejected_rows (
    run_id VARCHAR(512) NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    source VARCHAR(16) NOT NULL,
    file_name VARCHAR(1024),
    line_number BIGINT,
    column_name VARCHAR(128),
    error_code INTEGER,
    reason VARCHAR(512) NOT NULL,
    raw_line VARCHAR(4096),
    rejected_at TIMESTAMP NOT NULL
)
DISTSTYLE EVEN
SORTKEY (window_start);
