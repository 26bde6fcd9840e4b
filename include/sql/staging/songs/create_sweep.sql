-- What a sweep compares: the files that it lists, and who has found the changes that were known before it listed them.
DROP TABLE IF EXISTS
    {{ work('songs_listed') }},
    {{ work('songs_known') }};

CREATE TABLE {{ work('songs_listed') }} (
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL
)
DISTSTYLE KEY
DISTKEY (object_key);

CREATE TABLE {{ work('songs_known') }}
DISTSTYLE ALL
AS
SELECT DISTINCT found_by
FROM staging.song_changes;
