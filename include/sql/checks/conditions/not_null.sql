{{ columns | join(' IS NULL OR ') }} IS NULL
