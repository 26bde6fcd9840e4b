-- The files that a sweep has listed.
COPY {{ work('songs_listed') }}
FROM {{ quote(uri('songs.manifest')) }}
IAM_ROLE {{ 'DEFAULT' if sweep.iam_role == 'default' else quote(sweep.iam_role) }}
REGION {{ quote(sweep.region) }}
MANIFEST
JSON 'auto'
COMPUPDATE OFF;
