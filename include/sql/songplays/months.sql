-- The UTC months in which titles were played that changed songs have, or had.
SELECT DISTINCT played_titles.month_start
FROM staging.played_titles AS played_titles
INNER JOIN changed_titles
    ON
        played_titles.song_title = changed_titles.title
        AND played_titles.artist_name = changed_titles.artist_name
ORDER BY played_titles.month_start;
