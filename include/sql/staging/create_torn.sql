-- Files with rows that hide others: what COPY refused as one row holds whole ones. hidden_rows: NULL where it cannot
-- be told, for a reason. line_number: where the first row ends that hides any.
CREATE TABLE {{ work(stage.source ~ '_torn') }} (
    file_name VARCHAR(2048) NOT NULL,
    line_number BIGINT,
    hidden_rows BIGINT,
    reason VARCHAR(512)
)
DISTSTYLE EVEN;
