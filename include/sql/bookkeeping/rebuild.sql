{#- Tables derived again from the observations and the fact: each table's own publish.sql in truncate mode, for a
    run that brings nothing. `tables`: which. -#}
{% macro no_work(name) %}{{ 'no_artist_observations' if name == 'artists_candidate' else 'no_song_observations' }}{% endmacro -%}
{% set window = {'start_sql': '0001-01-01 00:00:00', 'end_sql': '0001-01-01 00:00:00', 'ranges': []} -%}
{% set mode = 'truncate' -%}
{% set whole = false -%}
{% set reach = window -%}
{% set again = {'what': 'all'} -%}
{% set late = false -%}
{% set published = false -%}
{% if 'songs' in tables -%}
CREATE TEMP TABLE no_song_observations AS
SELECT * -- noqa: AM04
FROM staging.song_observations
WHERE song_id IS NULL;

CREATE TEMP TABLE no_artist_observations AS
SELECT * -- noqa: AM04
FROM staging.artist_observations
WHERE song_id IS NULL;

CREATE TEMP TABLE no_songplays AS
SELECT * -- noqa: AM04
FROM sparkify.songplays
WHERE start_time IS NULL;

{% with candidate = 'no_song_observations', work = no_work %}{% include 'songs/publish.sql' %}{% endwith %}

{% with candidate = 'no_artist_observations', work = no_work %}{% include 'artists/publish.sql' %}{% endwith %}

-- Every play looks for its song again, also those of runs that have looked before.
UPDATE staging.published_catalogue
SET version = version + 1
WHERE listed_at IS NOT NULL;

{% with candidate = 'no_songplays', work = no_work -%}
{% include 'songplays/publish.sql' %}
{%- endwith %}

{% endif -%}
{% if 'users' in tables -%}
CREATE TEMP TABLE no_user_observations AS
SELECT * -- noqa: AM04
FROM staging.user_observations
WHERE user_id IS NULL;

{% with candidate = 'no_user_observations' %}{% include 'users/publish.sql' %}{% endwith %}

{% endif -%}
{% if 'time' in tables -%}
{% include 'time/publish.sql' %}
{%- endif %}
