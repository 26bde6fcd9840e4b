"""What every test of this repository may use: the fixtures of the local Redshift."""

pytest_plugins = ["local_redshift.pytest_plugin"]
