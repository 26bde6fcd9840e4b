{% set credentials = 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) -%}
-- Rows that COPY refused. The worker has cut each value to its column, and written out what no table holds.
COPY {{ work(stage.source ~ '_rejected') }}
FROM {{ quote(uri(stage.source ~ '.rejected.json')) }}
IAM_ROLE {{ credentials }}
REGION {{ quote(stage.region) }}
JSON 'auto'
COMPUPDATE OFF;
