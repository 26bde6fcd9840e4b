{% from 'songs/choice.sql' import songs_and_artists -%}
-- The songs of which the run changes anything, in what their files said or in the dimension. `whole`: the run has staged
-- all song files, so that what it did not find in them goes.
CREATE TEMP TABLE changed_songs
DISTSTYLE KEY
DISTKEY (song_id)
AS
SELECT song_id
FROM (
    {{ songs_and_artists(candidate, work('artists_candidate'), 'LEFT') | indent }}
    EXCEPT
    {{ songs_and_artists(of=candidate) | indent }}
) AS otherwise_observed
UNION
SELECT song_id
FROM (
    SELECT
        song_id,
        title,
        artist_id,
        NULLIF(year, 0) AS year,
        duration
    FROM {{ candidate }}
    EXCEPT
    SELECT
        songs.song_id,
        songs.title,
        songs.artist_id,
        songs.year,
        songs.duration
    FROM sparkify.songs AS songs
    INNER JOIN {{ candidate }} AS of_these
        ON songs.song_id = of_these.song_id
) AS otherwise_published
{%- if whole %}
UNION
SELECT observed.song_id
FROM (
    SELECT song_id
    FROM staging.song_observations
    UNION
    SELECT song_id
    FROM staging.artist_observations
    UNION
    SELECT song_id
    FROM sparkify.songs
) AS observed
LEFT JOIN {{ candidate }} AS staged
    ON observed.song_id = staged.song_id
WHERE staged.song_id IS NULL
{%- endif %};

{% if mode == 'append' -%}
-- What these songs are called, and were: plays find a song by its title and the artist's name.
CREATE TEMP TABLE changed_titles
DISTSTYLE KEY
DISTKEY (title)
AS
SELECT DISTINCT
    TRIM(named.title) AS title,
    TRIM(named.artist_name) AS artist_name
FROM (
    {% for songs, artists in (
        (candidate, work('artists_candidate')),
        ('staging.song_observations', 'staging.artist_observations'),
        ('sparkify.songs', 'staging.artist_observations'),
    ) -%}
    SELECT
        songs.title,
        artists.artist_name
    FROM changed_songs
    INNER JOIN {{ songs }} AS songs
        ON changed_songs.song_id = songs.song_id
    INNER JOIN {{ artists }} AS artists
        ON changed_songs.song_id = artists.song_id
    {% if not loop.last -%}
    UNION ALL
    {% endif -%}
    {% endfor -%}
) AS named;

{% endif -%}
DELETE FROM staging.song_observations
USING changed_songs
WHERE song_observations.song_id = changed_songs.song_id;

INSERT INTO staging.song_observations (song_id, title, artist_id, year, duration)
SELECT
    songs.song_id,
    songs.title,
    songs.artist_id,
    songs.year,
    songs.duration
FROM {{ candidate }} AS songs
INNER JOIN changed_songs
    ON songs.song_id = changed_songs.song_id;

DELETE FROM sparkify.songs
{% if mode == 'append' -%}
USING changed_songs
WHERE songs.song_id = changed_songs.song_id
{%- endif %};

INSERT INTO sparkify.songs (song_id, title, artist_id, year, duration)
SELECT
    songs.song_id,
    songs.title,
    songs.artist_id,
    NULLIF(songs.year, 0),
    songs.duration
FROM staging.song_observations AS songs
{%- if mode == 'append' %}
INNER JOIN changed_songs
    ON songs.song_id = changed_songs.song_id
{%- endif %};
