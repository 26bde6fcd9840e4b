{#- With a point behind it, a value counts with the blanks at its end, which Redshift would not compare. -#}
{{ column }} || '.' NOT IN ({% for value in values %}{{ quote(value ~ '.') }}{{ ', ' if not loop.last }}{% endfor %})
