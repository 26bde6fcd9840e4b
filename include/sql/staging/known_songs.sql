-- A row, if some of the run's song files may be in the ledger: they were when it looked at them, or others have published
-- since.
SELECT published.version
FROM staging.published_catalogue AS published
CROSS JOIN {{ work('songs_catalogue') }} AS seen
WHERE
    seen.known_files > 0
    OR published.version > seen.version;
