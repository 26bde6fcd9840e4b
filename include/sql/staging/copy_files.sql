{% set credentials = 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) -%}
-- What publish enters in the ledger. The key ends with .json: a COPY that loaded anything but this one object
-- would fail on the form of the manifest.
COPY {{ work(stage.source ~ '_files') }}
FROM {{ quote(uri(stage.source ~ '.files.json')) }}
IAM_ROLE {{ credentials }}
REGION {{ quote(stage.region) }}
JSON 'auto'
COMPUPDATE OFF;
