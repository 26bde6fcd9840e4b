{% from 'time/calendar.sql' import calendar -%}
-- The moments at which the plays of the run began.
DROP TABLE IF EXISTS {{ candidate }};

CREATE TABLE {{ candidate }}
DISTSTYLE KEY
DISTKEY (start_time)
AS
{{ calendar(work('songplays_candidate')) }};
