"""Benchmarks of the project's own operators on the local stand-ins."""
