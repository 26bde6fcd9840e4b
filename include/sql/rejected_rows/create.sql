-- One row a source row that COPY refused. Today a run refuses to publish a window with such rows, so the table
-- stays empty. DISTSTYLE EVEN: appended to, joined to nothing. SORTKEY window_start: read by window.
CREATE TABLE IF NOT EXISTS sparkify.rejected_rows (
    run_id VARCHAR(512) NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    file_name VARCHAR(1024) NOT NULL,
    line_number BIGINT NOT NULL,
    column_name VARCHAR(128),
    error_code INTEGER NOT NULL,
    reason VARCHAR(512) NOT NULL,
    raw_line VARCHAR(1024),
    rejected_at TIMESTAMP NOT NULL
)
DISTSTYLE EVEN
SORTKEY (window_start);
