-- Dimension: one row an artist, though the source spells some in several ways: the name, the location and the
-- pair of coordinates that most songs of the artist carry; of equally many, the shortest name ("Björk"
-- before "Björk feat. Thom Yorke"), then the first in byte order. The order of loading plays no part.
-- DISTSTYLE ALL: a few MB, joined by every question about artists. SORTKEY artist_id: joined by it.
CREATE TABLE IF NOT EXISTS sparkify.artists (
    artist_id VARCHAR(64) NOT NULL,
    name VARCHAR(1024),
    location VARCHAR(1024),
    latitude DOUBLE PRECISION,
    longitude DOUBLE PRECISION,
    PRIMARY KEY (artist_id)
)
DISTSTYLE ALL
SORTKEY (artist_id);

-- What artists is derived from: the artist fields of each song file, as the file states them but for blanks. Plays
-- find their song by the artist_name of its own file, so it is kept here whatever spelling the dimension shows.
-- DISTKEY song_id: replaced song by song, and joined to songs by it.
CREATE TABLE IF NOT EXISTS staging.artist_observations (
    song_id VARCHAR(64) NOT NULL,
    artist_id VARCHAR(64) NOT NULL,
    artist_name VARCHAR(1024),
    artist_location VARCHAR(1024),
    artist_latitude DOUBLE PRECISION,
    artist_longitude DOUBLE PRECISION
)
DISTSTYLE KEY
DISTKEY (song_id)
SORTKEY (song_id);
