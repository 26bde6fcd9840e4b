"""COPY carried out: objects of S3 into rows."""
