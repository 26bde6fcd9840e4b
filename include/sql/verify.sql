-- Reads one source file as stage does, by a manifest in the work bucket, and loads nothing: no key of the file is
-- called like the column.
CREATE TEMP TABLE sparkify_verify (
    no_such_key VARCHAR(1)
);

COPY sparkify_verify
FROM {{ quote(manifest) }}
IAM_ROLE {{ 'DEFAULT' if iam_role == 'default' else quote(iam_role) }}
REGION {{ quote(region) }}
MANIFEST
JSON 'auto'
NOLOAD
COMPUPDATE OFF;
