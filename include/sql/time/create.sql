-- Dimension: one row a start_time of a play, UTC, with the calendar fields that plays are grouped by: week is
-- the ISO week, weekday is 0 for Sunday to 6 for Saturday (as Redshift numbers them).
-- DISTKEY and SORTKEY start_time: joined to it alone, and about as many rows as the fact, too many for ALL.
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
