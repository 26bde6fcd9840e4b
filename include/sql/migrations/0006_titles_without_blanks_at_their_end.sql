-- Redshift takes texts for equal that differ in the blanks at their end, so titles have none any more.
UPDATE sparkify.songplays
SET song_title = RTRIM(song_title)
WHERE LEN(song_title) <> LEN(RTRIM(song_title));

UPDATE sparkify.songs
SET title = RTRIM(title)
WHERE LEN(title) <> LEN(RTRIM(title));

UPDATE staging.song_observations
SET title = RTRIM(title)
WHERE LEN(title) <> LEN(RTRIM(title));
