-- What the messages of the queue say, before they are deleted from it.
COPY staging.song_changes
FROM {{ quote(uri(stage.source ~ '.changes.json')) }}
IAM_ROLE {{ 'DEFAULT' if stage.iam_role == 'default' else quote(stage.iam_role) }}
REGION {{ quote(stage.region) }}
JSON 'auto'
COMPUPDATE OFF
STATUPDATE OFF;
