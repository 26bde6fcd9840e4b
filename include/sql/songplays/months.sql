-- The UTC months in which titles were played that changed songs have, or had: the first such day of each.
SELECT MIN(played_titles.first_day) AS first_day
FROM staging.played_titles AS played_titles
INNER JOIN changed_titles
    ON
        played_titles.song_title = changed_titles.title
        AND played_titles.artist_name = changed_titles.artist_name
GROUP BY DATE_TRUNC('month', played_titles.first_day)
ORDER BY first_day;
