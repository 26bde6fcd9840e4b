-- One row: the published files that lie elsewhere than the Variables say, and those that are to be staged again for
-- the rows that were rejected of them. The keys below a folder, whose name ends with a slash, are those from it up to the
-- same name with the character after the slash, which is 0.
SELECT
    COUNT(
        CASE
            WHEN
                bucket <> {{ quote(stage.s3_bucket) }}
                OR object_key < {{ quote(folder) }}
                OR object_key >= {{ quote(folder[:-1] ~ '0') }}
                THEN 1
        END
    ) AS elsewhere,
    COUNT(CASE WHEN rejected_rows > 0 THEN 1 END) AS with_rejected_rows
FROM staging.source_files
WHERE source = 'songs';
