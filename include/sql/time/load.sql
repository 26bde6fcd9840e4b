{% from 'time/calendar.sql' import calendar -%}
-- The moments at which the plays of the window began.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }} (
    start_time TIMESTAMP NOT NULL,
    hour INTEGER NOT NULL,
    day INTEGER NOT NULL,
    week INTEGER NOT NULL,
    month INTEGER NOT NULL,
    year INTEGER NOT NULL,
    weekday INTEGER NOT NULL
)
BACKUP NO
DISTSTYLE KEY
DISTKEY (start_time);

INSERT INTO {{ candidate }} (start_time, hour, day, week, month, year, weekday)
{{ calendar(work('songplays_candidate')) }};
