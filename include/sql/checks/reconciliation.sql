-- What the parts lack of the whole.
SELECT
    ({{ whole | trim }})
    {%- for part in parts.values() %}
    - ({{ part | trim }})
    {%- endfor %} AS observed,
    ({{ whole | trim }}) AS rows_checked;
