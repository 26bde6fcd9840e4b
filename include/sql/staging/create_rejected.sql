-- The rows of the staged files that are not loaded: those that COPY refused have its error code, or 0, the others
-- were taken out by reject.sql. object_key: the key of the file as in the ledger, or how it begins where no more is known.
-- hour_start: the hour of the event that reject.sql took out, unless it is too far from the time of its file.
-- batch: of events, what they were to land with.
CREATE TABLE {{ work(stage.source ~ '_rejected') }} (
    file_name VARCHAR(1024),
    line_number BIGINT,
    column_name VARCHAR(128),
    error_code INTEGER,
    reason VARCHAR(512) NOT NULL,
    raw_line VARCHAR(4096),
    object_key VARCHAR(1024),
    etag VARCHAR(128),
    hour_start TIMESTAMP,
    batch BIGINT
)
DISTSTYLE EVEN;
