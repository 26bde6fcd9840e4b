{% set prefix = quote(folder) -%}
-- One row: the published files that lie elsewhere than the Variables say, and those that are to be staged again for
-- the rows that were rejected of them.
SELECT
    COUNT(
        CASE
            WHEN
                bucket <> {{ quote(stage.s3_bucket) }}
                OR LEFT(object_key, LEN({{ prefix }})) <> {{ prefix }}
                OR RIGHT(object_key, LEN({{ quote(stage.suffix) }})) <> {{ quote(stage.suffix) }}
                THEN 1
        END
    ) AS elsewhere,
    COUNT(CASE WHEN rejected_rows > 0 THEN 1 END) AS with_rejected_rows
FROM staging.source_files
WHERE source = 'songs';
