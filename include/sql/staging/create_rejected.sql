-- The rows of the staged files that are not loaded: those that COPY refused have its error code, the others were
-- taken out by reject.sql.
DROP TABLE IF EXISTS {{ work(stage.source ~ '_rejected') }};
CREATE TABLE {{ work(stage.source ~ '_rejected') }} (
    file_name VARCHAR(1024),
    line_number BIGINT,
    column_name VARCHAR(128),
    error_code INTEGER,
    reason VARCHAR(512) NOT NULL,
    raw_line VARCHAR(4096)
)
BACKUP NO
DISTSTYLE EVEN;
