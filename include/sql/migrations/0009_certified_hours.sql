-- Whether the log files of an hour have come. Hours that are published stay certified.
ALTER TABLE staging.published_hours ADD COLUMN is_certified BOOLEAN DEFAULT TRUE NOT NULL;
