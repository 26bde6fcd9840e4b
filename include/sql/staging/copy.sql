{% set credentials = 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) -%}
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
{% for option in stage.copy_options if option -%}
{{ option }}
{% endfor -%}
MAXERROR {{ stage.budget.max_errors }}
COMPUPDATE OFF;
