{#- COPY of one of the run's work tables from the object of that name in the work bucket, of JSON lines. -#}
{% macro copied(name) -%}
COPY {{ work(stage.source ~ '_' ~ name) }}
FROM {{ quote(uri(stage.source ~ '.' ~ name ~ '.json')) }}
IAM_ROLE {{ 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) }}
REGION {{ quote(stage.region) }}
JSON 'auto'
COMPUPDATE OFF;
{%- endmacro %}
