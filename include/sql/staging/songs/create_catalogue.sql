-- How the run saw the catalogue: when it listed the song files, which version of staging.published_catalogue it compared
-- them with, whether it stages all of them, so that what other files said is taken back, and how many of those that it
-- stages were published before.
CREATE TABLE {{ work('songs_catalogue') }} (
    listed_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    is_whole BOOLEAN NOT NULL,
    known_files BIGINT NOT NULL
)
DISTSTYLE EVEN;
