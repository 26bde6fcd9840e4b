-- The files that were staged.
CREATE TABLE {{ work(stage.source ~ '_files') }} (
    listed_at TIMESTAMP NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    catalogue_version BIGINT
)
DISTSTYLE EVEN;
