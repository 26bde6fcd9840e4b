"""The servers that it runs on, without an installation: PostgreSQL and S3, as child processes."""
