{#- `batches`: their numbers. -#}
-- What is known of some batches is forgotten: the next run that lists their files lands them again.
UPDATE staging.published_hours
SET is_landed = FALSE
FROM (
    SELECT DISTINCT hour_start
    FROM staging.batch_hours
    WHERE batch IN ({{ batches | join(', ') }})
) AS hours
WHERE published_hours.hour_start = hours.hour_start;

DELETE FROM staging.landed_events
WHERE batch IN ({{ batches | join(', ') }});

DELETE FROM staging.batch_hours
WHERE batch IN ({{ batches | join(', ') }});

DELETE FROM sparkify.rejected_rows
WHERE batch IN ({{ batches | join(', ') }});

UPDATE staging.batches
SET is_live = FALSE
WHERE batch IN ({{ batches | join(', ') }});

DELETE FROM staging.landed_files
WHERE batch IN ({{ batches | join(', ') }});
