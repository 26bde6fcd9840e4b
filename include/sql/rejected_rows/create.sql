-- One row a source row that was not loaded, as the last run that read its file found it: run_id, with its window.
-- file_name, line_number: where the row ends; NULL where it cannot be told. etag: of which version of the file.
-- batch: of an event, the batch of files that landed without it; NULL where a run failed for it, which landed nothing.
-- error_code: Redshift's ("Load error reference"), 0 where Redshift does not tell why COPY refused the row, NULL where
-- the model refused it. raw_line: how the row begins.
-- hour_start: the UTC hour of the event; NULL where COPY refused it, or it is too far from the time of its file.
-- DISTSTYLE EVEN: appended to, joined to nothing. SORTKEY window_start: read by window.
CREATE TABLE IF NOT EXISTS sparkify.rejected_rows (
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
    rejected_at TIMESTAMP NOT NULL,
    etag VARCHAR(128),
    hour_start TIMESTAMP,
    batch BIGINT
)
DISTSTYLE EVEN
SORTKEY (window_start);
