-- One row a check of one try of a run, whatever came of it, kept for good.
-- status: passed, warned, failed, or skipped where there was nothing, or too little, to judge. severity: the worst
-- that the check can do. observed, rows_checked: NULL where the query gave no number; detail says why.
-- DISTSTYLE EVEN: appended to, joined to nothing. SORTKEY checked_at: read by time.
CREATE TABLE IF NOT EXISTS sparkify.quality_results (
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
