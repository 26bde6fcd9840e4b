{#- COPY of one of the run's work tables from an object of the work bucket, of JSON lines: that of its name, or of another. -#}
{% macro copied(name, object=none) -%}
COPY {{ work(stage.source ~ '_' ~ name) }}
FROM {{ quote(uri(stage.source ~ '.' ~ (object or name) ~ '.json')) }}
IAM_ROLE {{ 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) }}
REGION {{ quote(stage.region) }}
JSON 'auto'
COMPUPDATE OFF;
{%- endmacro %}
