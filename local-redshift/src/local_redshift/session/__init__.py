"""One client's session, between its connection and one of PostgreSQL's."""
