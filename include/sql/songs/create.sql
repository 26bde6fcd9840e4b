-- Dimension: one row a song of the catalogue. A year of 0 in the source means unknown and is NULL here.
-- DISTSTYLE ALL: a few MB, joined by every question about songs. SORTKEY song_id: joined by it.
CREATE TABLE IF NOT EXISTS sparkify.songs (
    song_id VARCHAR(64) NOT NULL,
    title VARCHAR(1024),
    artist_id VARCHAR(64),
    year INTEGER,
    duration DOUBLE PRECISION,
    PRIMARY KEY (song_id)
)
DISTSTYLE ALL
SORTKEY (song_id);

-- What songs is derived from: the song fields of each song file, as the file states them.
-- DISTKEY song_id: replaced song by song.
CREATE TABLE IF NOT EXISTS staging.song_observations (
    song_id VARCHAR(64) NOT NULL,
    title VARCHAR(1024),
    artist_id VARCHAR(64),
    year INTEGER,
    duration DOUBLE PRECISION
)
DISTSTYLE KEY
DISTKEY (song_id)
SORTKEY (song_id);
