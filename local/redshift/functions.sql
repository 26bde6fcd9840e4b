-- Redshift's functions, in pg_catalog so that they are found without a schema, as there.
CREATE OR REPLACE FUNCTION pg_catalog.getdate() RETURNS timestamp
LANGUAGE sql STABLE AS $$ SELECT statement_timestamp() AT TIME ZONE 'UTC' $$;

CREATE OR REPLACE FUNCTION pg_catalog.sysdate() RETURNS timestamp
LANGUAGE sql STABLE AS $$ SELECT transaction_timestamp() AT TIME ZONE 'UTC' $$;

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT COALESCE(NULLIF(current_setting('redshift.last_copy_count', true), ''), '0')::bigint $$;

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_id() RETURNS integer
LANGUAGE sql STABLE AS $$ SELECT COALESCE(NULLIF(current_setting('redshift.last_copy_id', true), ''), '-1')::integer $$;

CREATE OR REPLACE FUNCTION redshift.index_sort_key(target text, keys text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = target::regclass) THEN
        EXECUTE format(
            'CREATE INDEX ON %s (%s)',
            target::regclass,
            (SELECT string_agg(quote_ident(key), ', ' ORDER BY position)
             FROM unnest(keys) WITH ORDINALITY AS listed (key, position))
        );
    END IF;
END $$;
