DROP TABLE IF EXISTS {{ work(stage.source ~ '_files') }};
CREATE TABLE {{ work(stage.source ~ '_files') }} (
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL
)
BACKUP NO
DISTSTYLE EVEN;
