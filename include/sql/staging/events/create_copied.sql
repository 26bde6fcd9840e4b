{#- `part`: what the run calls the batch in the names of its objects; empty for one without files. -#}
-- What COPY brings in of the files of one batch, and these files.
DROP TABLE IF EXISTS
    {{ work('events_copied') }},
    {{ work('events_landing') }};

CREATE TABLE {{ work('events_copied') }} (LIKE staging.landed_events);

CREATE TABLE {{ work('events_landing') }} (LIKE {{ work('events_files') }});

{% if part -%}
{% from 'staging/copied.sql' import copied with context -%}
{{ copied('landing', part ~ '.files') }}
{%- endif %}
