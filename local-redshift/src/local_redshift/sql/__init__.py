"""Redshift's SQL: read, refused where Redshift refuses it, and put into PostgreSQL's words."""
