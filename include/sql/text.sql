{#- The texts of the model, as the files hold them but for blanks: a text of nothing but blanks says nothing and is
    NULL. Redshift takes texts that differ in the blanks at their end for equal, so one that is a value of its own is
    compared with something behind it. -#}

{#- Without the blanks around it. -#}
{% macro text(column) -%}
NULLIF(TRIM({{ column }}), '')
{%- endmacro %}

{#- A title keeps the blanks around it, as published titles always did. Plays find songs without them. -#}
{% macro title(column) -%}
CASE WHEN TRIM({{ column }}) <> '' THEN {{ column }} END
{%- endmacro %}

{#- Whether two values of one kind are not the same; NULL is the same as NULL. -#}
{% macro differs(one, other) -%}
({{ one }} <> {{ other }} OR ({{ one }} IS NULL AND {{ other }} IS NOT NULL) OR ({{ one }} IS NOT NULL AND {{ other }} IS NULL))
{%- endmacro %}
