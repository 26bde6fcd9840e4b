{#- `table`: what to COPY into, with its columns where they are not those of the files. `manifest`: the name of the
    run's object. `compression`: COPY's option for all files of it. -#}
{% set credentials = 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) -%}
COPY {{ table }}
FROM {{ quote(uri(manifest)) }}
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
{% if compression -%}
{{ compression }}
{% endif -%}
{% for option in stage.copy_options if option -%}
{{ option }}
{% endfor -%}
MAXERROR {{ stage.budget.max_errors }}
COMPUPDATE OFF;
