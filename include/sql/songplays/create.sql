-- Fact, transaction grain: one row a NextSong event, natural key (start_time, user_id, session_id,
-- item_in_session). Redshift enforces no key: publish keeps it unique, and songplay_id stable.
-- DISTKEY user_id: many distinct values, never NULL and part of the key, so that publish compares candidate and fact, and
-- questions about listeners, their sessions and their levels join and group, without moving rows; song_id, the usual
-- choice, is NULL for most plays. sparkify_verify watches the skew, which a user who plays day and night can cause. The
-- small dimensions are copied to every node.
-- SORTKEY start_time: the queries of analysts and every publish are a range of it.
CREATE TABLE IF NOT EXISTS sparkify.songplays (
    songplay_id BIGINT IDENTITY (0, 1) NOT NULL,
    start_time TIMESTAMP NOT NULL,
    user_id BIGINT NOT NULL,
    level VARCHAR(16),
    song_id VARCHAR(64),
    artist_id VARCHAR(64),
    session_id BIGINT NOT NULL,
    item_in_session INTEGER NOT NULL,
    location VARCHAR(1024),
    user_agent VARCHAR(2048),
    song_title VARCHAR(1024),
    artist_name VARCHAR(1024),
    song_length DOUBLE PRECISION,
    PRIMARY KEY (songplay_id)
)
DISTSTYLE KEY
DISTKEY (user_id)
SORTKEY (start_time);

-- Which titles were played, without blanks around them, in which UTC months, and from which day of the month on: where a
-- song that is published later finds the plays that are called like it. Insert-only: an earlier day is a further row, and
-- a title stays though its last play is removed.
-- DISTKEY song_title: joined by it, with the titles of songs. SORTKEY first_day: publish reads the months of its window.
CREATE TABLE IF NOT EXISTS staging.played_titles (
    first_day TIMESTAMP NOT NULL,
    song_title VARCHAR(1024) NOT NULL,
    artist_name VARCHAR(1024) NOT NULL
)
DISTSTYLE KEY
DISTKEY (song_title)
SORTKEY (first_day);
