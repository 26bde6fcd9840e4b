-- Dimension, SCD type 2 on the subscription level (Kimball): one row a user and span of one level, half-open
-- [valid_from, valid_to); names and gender as at the start of the span. Key (user_id, valid_from).
-- DISTKEY user_id, as songplays and the observations: joined to both by it. SORTKEY: spans of a user together.
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
DISTSTYLE KEY
DISTKEY (user_id)
SORTKEY (user_id, valid_from);

-- What users is derived from: the first sighting of each span of one level within each UTC hour. The grain of
-- an hour makes it independent of the sizes of the windows: any window replaces whole hours.
-- DISTKEY user_id: derived user by user. SORTKEY observed_at: replaced by ranges of it.
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
