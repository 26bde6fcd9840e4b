-- The files that were staged; of log files one row for each hour of the window, also for an hour without a file.
CREATE TABLE {{ work(stage.source ~ '_files') }} (
    listed_at TIMESTAMP NOT NULL,
    hour_start TIMESTAMP,
    files_digest VARCHAR(64),
    object_key VARCHAR(1024),
    etag VARCHAR(128),
    size_bytes BIGINT,
    last_modified TIMESTAMP,
    catalogue_version BIGINT
)
DISTSTYLE EVEN;
