"""Stand-ins of AWS for laptops and CI. Nothing outside local/ and tests/ imports this package."""
