-- The period in figures
-- One row. A user counts once however often they listened and whatever their level was. plays_in_catalogue are the
-- plays whose song was found in the catalogue.
SELECT
    COUNT(*) AS plays,
    COUNT(song_id) AS plays_in_catalogue,
    COUNT(DISTINCT user_id) AS users,
    COUNT(DISTINCT TRUNC(start_time)) AS days_with_plays
FROM sparkify.songplays
WHERE
    start_time >= TIMESTAMP '{{ period_start }}'
    AND start_time < TIMESTAMP '{{ period_end }}'
LIMIT {{ row_limit }};
