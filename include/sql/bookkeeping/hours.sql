{% from 'bookkeeping/differences.sql' import differing_hours -%}
-- Every hour whose rows are not those that it was published with.
{{ differing_hours() }}
ORDER BY hour_start;
