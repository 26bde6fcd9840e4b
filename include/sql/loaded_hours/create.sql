-- What each published hour holds, one row an hour, so that sums over hours count no event twice (the windows of
-- load_history may overlap). events = songplays + duplicate_plays + other_pages + rejected_rows; NULL where an earlier
-- version published the hour and did not count. is_certified: whether the hour's log files had come; without them an hour
-- is empty because nothing is known of it. Rows that COPY refused have no hour: they are in rejected_rows alone.
CREATE OR REPLACE VIEW sparkify.loaded_hours AS
SELECT
    hour_start,
    songplays + duplicate_plays + other_pages + rejected_rows AS events,
    songplays,
    duplicate_plays,
    other_pages,
    rejected_rows,
    run_id,
    is_certified
FROM staging.published_hours;
