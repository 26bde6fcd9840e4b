-- Plays and the spans of users lie by user, as the observations do. Redshift moves the rows in the background.
ALTER TABLE sparkify.songplays ALTER DISTKEY user_id;

ALTER TABLE sparkify.users ALTER DISTSTYLE KEY DISTKEY user_id;
