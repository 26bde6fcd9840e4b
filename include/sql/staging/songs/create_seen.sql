-- The changes that the run has read, each with what the run saw of its file: its ETag, or NULL where there is none.
CREATE TABLE {{ work('songs_seen') }} (
    found_by VARCHAR(64) NOT NULL,
    bucket VARCHAR(64) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128)
)
DISTSTYLE EVEN;
