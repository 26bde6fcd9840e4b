{#- The texts of the model, as the files hold them but for blanks: a text of nothing but blanks says nothing and is
    NULL. Redshift takes texts that differ in the blanks at their end for equal ("Significance of trailing blanks"), so
    no text of the model has any: which of two would be published would be chance. -#}

{#- Without the blanks around it. -#}
{% macro text(column) -%}
NULLIF(TRIM({{ column }}), '')
{%- endmacro %}

{#- A title keeps the blanks before it, as published titles always did. Plays find songs without them. -#}
{% macro title(column) -%}
NULLIF(RTRIM({{ column }}), '')
{%- endmacro %}

{#- Whether two values of one kind are not the same; NULL is the same as NULL. -#}
{% macro differs(one, other) -%}
({{ one }} <> {{ other }} OR ({{ one }} IS NULL AND {{ other }} IS NOT NULL) OR ({{ one }} IS NOT NULL AND {{ other }} IS NULL))
{%- endmacro %}
