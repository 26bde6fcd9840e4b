-- What others have published of the songs since the run looked at them: from a later listing, so that the run's songs are
-- to be left out, or only a later version. (A run that stages all files replaces what others published from an earlier
-- listing.)
SELECT
    published.run_id,
    published.listed_at,
    CASE WHEN published.listed_at > seen.listed_at THEN 1 ELSE 0 END AS is_later
FROM staging.published_catalogue AS published
CROSS JOIN {{ work('songs_catalogue') }} AS seen
WHERE
    published.listed_at > seen.listed_at
    OR (published.version > seen.version AND NOT seen.is_whole);
