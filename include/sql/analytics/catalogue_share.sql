-- Share of plays found in the catalogue, by day
-- One row per UTC day with plays. A falling share means that songs are missing from the catalogue, or that
-- the app now spells titles or artists differently. It can rise later: songs that arrive after their plays
-- are matched then.
SELECT
    TRUNC(start_time) AS day,
    CAST(ROUND(100.0 * COUNT(song_id) / COUNT(*), 1) AS DECIMAL(18, 1)) AS percent_in_catalogue,
    COUNT(song_id) AS plays_in_catalogue,
    COUNT(*) AS plays
FROM sparkify.songplays
WHERE
    start_time >= TIMESTAMP '{{ period_start }}'
    AND start_time < TIMESTAMP '{{ period_end }}'
GROUP BY TRUNC(start_time)
ORDER BY day ASC
LIMIT {{ row_limit }};
