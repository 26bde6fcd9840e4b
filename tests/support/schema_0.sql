-- The tables as version 0 of the schema made them, before there were migrations. Released versions stand here for
-- good: what changes in include/sql/<table>/create.sql after a release also needs a migration.
CREATE SCHEMA IF NOT EXISTS staging;
CREATE SCHEMA IF NOT EXISTS sparkify;

CREATE TABLE IF NOT EXISTS staging.publish_lock (
    held_for VARCHAR(64)
)
DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS staging.source_files (
    source VARCHAR(16) NOT NULL,
    bucket VARCHAR(64) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    listed_at TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    published_at TIMESTAMP NOT NULL
)
DISTSTYLE EVEN
SORTKEY (source, object_key);

CREATE TABLE IF NOT EXISTS staging.published_hours (
    hour_start TIMESTAMP NOT NULL,
    files_digest VARCHAR(64) NOT NULL,
    listed_at TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL
)
DISTSTYLE ALL
SORTKEY (hour_start);

CREATE TABLE IF NOT EXISTS staging.publish_log (
    publish_id VARCHAR(64) NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    published_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
SORTKEY (published_at);
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
DISTKEY (session_id)
SORTKEY (start_time);
CREATE TABLE IF NOT EXISTS sparkify.users (
    user_id BIGINT NOT NULL,
    first_name VARCHAR(256),
    last_name VARCHAR(256),
    gender VARCHAR(16),
    level VARCHAR(16) NOT NULL,
    valid_from TIMESTAMP NOT NULL,
    valid_to TIMESTAMP NOT NULL,
    is_current BOOLEAN NOT NULL,
    PRIMARY KEY (user_id, valid_from)
)
DISTSTYLE ALL
SORTKEY (user_id, valid_from);

CREATE TABLE IF NOT EXISTS staging.user_observations (
    user_id BIGINT NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    level VARCHAR(16) NOT NULL,
    first_name VARCHAR(256),
    last_name VARCHAR(256),
    gender VARCHAR(16)
)
DISTSTYLE KEY
DISTKEY (user_id)
SORTKEY (observed_at);
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
CREATE TABLE IF NOT EXISTS sparkify.time (
    start_time TIMESTAMP NOT NULL,
    hour INTEGER NOT NULL,
    day INTEGER NOT NULL,
    week INTEGER NOT NULL,
    month INTEGER NOT NULL,
    year INTEGER NOT NULL,
    weekday INTEGER NOT NULL,
    PRIMARY KEY (start_time)
)
DISTSTYLE KEY
DISTKEY (start_time)
SORTKEY (start_time);
CREATE TABLE IF NOT EXISTS sparkify.load_history (
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    log_files BIGINT NOT NULL,
    song_files BIGINT NOT NULL,
    events_staged BIGINT NOT NULL,
    events_in_window BIGINT NOT NULL,
    songplays BIGINT NOT NULL,
    other_pages BIGINT NOT NULL,
    rejected_rows BIGINT NOT NULL,
    users BIGINT NOT NULL,
    songs BIGINT NOT NULL,
    artists BIGINT NOT NULL,
    time_rows BIGINT NOT NULL,
    published_at TIMESTAMP NOT NULL,
    PRIMARY KEY (window_start, window_end)
)
DISTSTYLE ALL
SORTKEY (window_start);
CREATE TABLE IF NOT EXISTS sparkify.quality_results (
    run_id VARCHAR(512) NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    table_name VARCHAR(64) NOT NULL,
    check_name VARCHAR(128) NOT NULL,
    severity VARCHAR(16) NOT NULL,
    observed DOUBLE PRECISION,
    threshold VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    checked_at TIMESTAMP DEFAULT GETDATE() NOT NULL
)
DISTSTYLE EVEN
SORTKEY (checked_at);
CREATE TABLE IF NOT EXISTS sparkify.rejected_rows (
    run_id VARCHAR(512) NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    file_name VARCHAR(1024) NOT NULL,
    line_number BIGINT NOT NULL,
    column_name VARCHAR(128),
    error_code INTEGER NOT NULL,
    reason VARCHAR(512) NOT NULL,
    raw_line VARCHAR(1024),
    rejected_at TIMESTAMP NOT NULL
)
DISTSTYLE EVEN
SORTKEY (window_start);
