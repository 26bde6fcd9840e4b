{% from 'staging/copied.sql' import copied with context -%}
-- Rows that COPY refused. The worker has cut each value to its column, and written out what no table holds.
{{ copied('rejected') }}
