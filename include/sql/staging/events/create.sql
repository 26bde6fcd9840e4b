-- The landing table of the log events of one run, in the order of log_json_path.json. COPY does every conversion,
-- so a value that does not fit its type is refused with file and line. NOT NULL: an event without ts belongs to no
-- window, one without page to no table, so COPY refuses them too.
DROP TABLE IF EXISTS
    {{ work('events') }},
    {{ work('events_files') }},
    {{ work('events_rejected') }},
    {{ work('events_keys') }},
    {{ work('events_torn') }};

CREATE TABLE {{ work('events') }} (
    artist VARCHAR(1024),
    auth VARCHAR(64),
    first_name VARCHAR(256),
    gender VARCHAR(16),
    item_in_session INTEGER,
    last_name VARCHAR(256),
    length DOUBLE PRECISION,
    level VARCHAR(16),
    location VARCHAR(1024),
    method VARCHAR(16),
    page VARCHAR(64) NOT NULL,
    registration DOUBLE PRECISION,
    session_id BIGINT,
    song VARCHAR(1024),
    status INTEGER,
    ts TIMESTAMP NOT NULL,
    user_agent VARCHAR(2048),
    user_id BIGINT
)
DISTSTYLE KEY
DISTKEY (session_id);
{% include 'staging/create_files.sql' %}
{% include 'staging/create_rejected.sql' %}
{% include 'staging/create_keys.sql' %}
{% include 'staging/create_torn.sql' %}
