{% from 'staging/copied.sql' import copied with context -%}
-- What the run saw of the files that it was told of.
{{ copied('seen') }}
