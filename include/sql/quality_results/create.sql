-- One row a check of one try of a run, passed or failed, kept for good.
-- DISTSTYLE EVEN: appended to, joined to nothing. SORTKEY checked_at: read by time.
CREATE TABLE IF NOT EXISTS sparkify.quality_results (
    run_id VARCHAR(512) NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    table_name VARCHAR(64) NOT NULL,
    check_name VARCHAR(128) NOT NULL,
    severity VARCHAR(16) NOT NULL,
    observed DOUBLE PRECISION,
    threshold VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    checked_at TIMESTAMP DEFAULT GETDATE() NOT NULL
)
DISTSTYLE EVEN
SORTKEY (checked_at);
