{% from 'staging/copied.sql' import copied with context -%}
-- What publish enters in the ledger. The key ends with .json: a COPY that loaded anything but this one object
-- would fail on the form of the manifest.
{{ copied('files') }}
