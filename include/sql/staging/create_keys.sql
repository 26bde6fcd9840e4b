-- Keys of the staged objects that the landing table does not know, and keys that it knows and an object lacks.
DROP TABLE IF EXISTS {{ work(stage.source ~ '_keys') }};
CREATE TABLE {{ work(stage.source ~ '_keys') }} (
    problem VARCHAR(16) NOT NULL,
    key_name VARCHAR(512) NOT NULL,
    row_count BIGINT NOT NULL,
    first_file VARCHAR(1024) NOT NULL
)
BACKUP NO
DISTSTYLE EVEN;
