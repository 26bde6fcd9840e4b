{% from 'staging/copied.sql' import copied with context -%}
{{ copied('hours') }}
