"""What the stand-in keeps inside the database: system tables, functions, the records of loads."""
