{#- The columns of a landed event, as log_json_path.json names them. -#}
{% set columns = [
    'artist', 'auth', 'first_name', 'gender', 'item_in_session', 'last_name', 'length', 'level', 'location', 'method',
    'page', 'registration', 'session_id', 'song', 'status', 'ts', 'user_agent', 'user_id',
] -%}
