"""The S3-to-Redshift pipeline: operators, the window they work on and the warehouse they talk to."""
