-- Keys of the staged objects that the landing table does not know (problem: unknown), that an object has more than
-- once (twice), or that it lacks (missing). A row without key_name stands for the key_count keys that are not listed.
-- Problem time or limit: key_name is the sentence that says why not all objects, or not all of their keys, are known.
CREATE TABLE {{ work(stage.source ~ '_keys') }} (
    problem VARCHAR(16) NOT NULL,
    key_name VARCHAR(512),
    row_count BIGINT NOT NULL,
    key_count BIGINT NOT NULL,
    first_file VARCHAR(1024) NOT NULL
)
DISTSTYLE EVEN;
