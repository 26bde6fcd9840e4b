{{ column }} IS NOT NULL
