-- The work tables of one run: the log files that it lists (of those that it lands, with the number of the batch of the run
-- that they land in), the hours and users that it derives, and what it says of the files.
DROP TABLE IF EXISTS
    {{ work('events') }},
    {{ work('events_copied') }},
    {{ work('events_landing') }},
    {{ work('events_files') }},
    {{ work('events_gone') }},
    {{ work('events_hours') }},
    {{ work('events_users') }},
    {{ work('events_rejected') }},
    {{ work('events_keys') }},
    {{ work('events_torn') }};

CREATE TABLE {{ work('events_files') }} (
    listed_at TIMESTAMP NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    partition_start TIMESTAMP NOT NULL,
    partition_end TIMESTAMP NOT NULL
)
DISTSTYLE EVEN;

-- The files that have landed from where the run has listed, and are not there any more.
CREATE TABLE {{ work('events_gone') }} (
    object_key VARCHAR(1024) NOT NULL
)
DISTSTYLE EVEN;

-- The hours that the run derives: those of its window wholly, others for the users of which rows have come late. version:
-- the last batch that had landed when they were derived. events, plays, rejected_rows: what had landed of them,
-- and is_landed, whether that is all.
CREATE TABLE {{ work('events_hours') }} (
    hour_start TIMESTAMP NOT NULL,
    is_whole BOOLEAN NOT NULL,
    version BIGINT,
    events BIGINT,
    plays BIGINT,
    rejected_rows BIGINT,
    is_landed BOOLEAN
)
DISTSTYLE ALL;

CREATE TABLE {{ work('events_users') }} (
    hour_start TIMESTAMP NOT NULL,
    user_id BIGINT NOT NULL
)
DISTSTYLE KEY
DISTKEY (user_id);
{% include 'staging/create_rejected.sql' %}
{% include 'staging/create_keys.sql' %}
{% include 'staging/create_torn.sql' %}
