{% set credentials = 'default' if stage.iam_role == 'default' else quote(stage.iam_role) -%}
COPY {{ work(stage.source) }}
FROM {{ quote(uri(stage.source ~ '.manifest')) }}
IAM_ROLE {{ credentials }}
REGION {{ quote(stage.region) }}
MANIFEST
{% if stage.jsonpaths_uri -%}
JSON {{ quote(stage.jsonpaths_uri) }}
{% elif stage.jsonpaths -%}
JSON {{ quote(uri(stage.jsonpaths)) }}
{% else -%}
JSON 'auto'
{% endif -%}
{% for option in stage.copy_options -%}
{{ option }}
{% endfor -%}
COMPUPDATE OFF;

-- One row a file, so that publish can enter it in the ledger. The key ends with .json: a COPY that loaded
-- anything but this one object would fail on the form of the manifest.
COPY {{ work(stage.source ~ '_files') }}
FROM {{ quote(uri(stage.source ~ '.files.json')) }}
IAM_ROLE {{ credentials }}
REGION {{ quote(stage.region) }}
JSON 'auto'
COMPUPDATE OFF;
