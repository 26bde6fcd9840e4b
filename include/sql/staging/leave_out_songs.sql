-- The songs of the run stay out of what is published, and out of the ledger: the next run stages them again.
DELETE FROM {{ work('songs_candidate') }};

DELETE FROM {{ work('artists_candidate') }};

DELETE FROM {{ work('songs_files') }};

DELETE FROM {{ work('songs_rejected') }};

DELETE FROM {{ work('songs_catalogue') }};
