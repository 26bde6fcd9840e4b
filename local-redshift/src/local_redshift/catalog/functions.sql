-- Redshift's functions, operators and casts, in pg_catalog so that they are found without a schema, as there.
-- The schema redshift holds those that PostgreSQL has under the same name with another meaning; the rewriter
-- (expressions.py) writes their qualified names.

-- Dates -----------------------------------------------------------------------------------------------------

-- A function whose body is a CASE is not STRICT, though of NULL it is NULL, and no body calls what is not
-- IMMUTABLE: PostgreSQL puts the body in place of the call, and with a date part as a literal only its
-- branch. A call costs ten times as much.

-- In the session's zone, as a TIMESTAMPTZ is when it is shown or taken apart ("GETDATE", "timezone"). GETDATE
-- has whole seconds, SYSDATE microseconds.
CREATE OR REPLACE FUNCTION pg_catalog.getdate() RETURNS timestamp
LANGUAGE sql STABLE AS $$ SELECT date_trunc('second', statement_timestamp()::timestamp) $$;

CREATE OR REPLACE FUNCTION pg_catalog.sysdate() RETURNS timestamp
LANGUAGE sql STABLE AS $$ SELECT transaction_timestamp()::timestamp $$;

-- One name for each date part, from "Date parts for date or timestamp functions".
CREATE OR REPLACE FUNCTION redshift.part(part text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN part IN ('millennium', 'millennia', 'mil', 'mils') THEN 'millennium'
        WHEN part IN ('century', 'centuries', 'c', 'cent', 'cents') THEN 'century'
        WHEN part IN ('decade', 'decades', 'dec', 'decs') THEN 'decade'
        WHEN part IN ('epoch') THEN 'epoch'
        WHEN part IN ('year', 'years', 'y', 'yr', 'yrs') THEN 'year'
        WHEN part IN ('quarter', 'quarters', 'qtr', 'qtrs') THEN 'quarter'
        WHEN part IN ('month', 'months', 'mon', 'mons') THEN 'month'
        WHEN part IN ('week', 'weeks', 'w') THEN 'week'
        WHEN part IN ('dayofweek', 'dow', 'dw', 'weekday') THEN 'dow'
        WHEN part IN ('dayofyear', 'doy', 'dy', 'yearday') THEN 'doy'
        WHEN part IN ('day', 'days', 'd') THEN 'day'
        WHEN part IN ('hour', 'hours', 'h', 'hr', 'hrs') THEN 'hour'
        WHEN part IN ('minute', 'minutes', 'm', 'min', 'mins') THEN 'minute'
        WHEN part IN ('second', 'seconds', 's', 'sec', 'secs') THEN 'second'
        WHEN part IN ('millisecond', 'milliseconds', 'ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisec',
                      'millisecs', 'millisecon') THEN 'milliseconds'
        WHEN part IN ('microsecond', 'microseconds', 'us', 'usec', 'usecs', 'usecond', 'useconds', 'microsec',
                      'microsecs', 'microsecond') THEN 'microseconds'
        ELSE redshift.fail(format('unknown date part "%s"', part))
    END;
END $$;

CREATE OR REPLACE FUNCTION redshift.fail(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = message, ERRCODE = '22023';
END $$;

CREATE OR REPLACE FUNCTION redshift.no_part(part text, what text, kind anyelement) RETURNS anyelement
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = format('date part "%s" cannot be %s', part, what), ERRCODE = '22023';
END $$;

-- DATE_PART is a DOUBLE PRECISION with fractions; its column is named pgdate_part.
CREATE OR REPLACE FUNCTION pg_catalog.pgdate_part(part text, moment timestamp) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE redshift.part(part)
        WHEN 'milliseconds' THEN (date_part('milliseconds', moment)::numeric % 1000)::double precision
        WHEN 'microseconds' THEN (date_part('microseconds', moment)::numeric % 1000000)::double precision
        ELSE date_part(redshift.part(part), moment)
    END
$$;

CREATE OR REPLACE FUNCTION pg_catalog.pgdate_part(part text, moment timestamptz) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT pgdate_part(part, moment::timestamp) $$;

-- EXTRACT is an INTEGER of that field alone; its column is named date_part.
CREATE OR REPLACE FUNCTION redshift.date_part(part text, moment timestamp) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT trunc(pgdate_part(part, moment))::integer $$;

CREATE OR REPLACE FUNCTION redshift.date_part(part text, moment timestamptz) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT trunc(pgdate_part(part, moment))::integer $$;

-- EXTRACT(epoch FROM …) outgrows an INTEGER; the third argument picks this form.
CREATE OR REPLACE FUNCTION redshift.date_part(part text, moment timestamp, wide bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT trunc(pgdate_part(part, moment))::bigint $$;

CREATE OR REPLACE FUNCTION redshift.date_part(part text, moment timestamptz, wide bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT trunc(pgdate_part(part, moment))::bigint $$;

CREATE OR REPLACE FUNCTION pg_catalog.date_part_year(moment date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT date_part('year', moment)::integer $$;

-- Of a DATE too, DATE_TRUNC is a TIMESTAMP.
CREATE OR REPLACE FUNCTION pg_catalog.date_trunc(part text, day date) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT date_trunc(redshift.part(part), day::timestamp) $$;

CREATE OR REPLACE FUNCTION pg_catalog.trunc(moment timestamp) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT moment::date $$;

CREATE OR REPLACE FUNCTION redshift.span(part text, number bigint) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE redshift.part(part)
        WHEN 'millennium' THEN number * interval '1000 years'
        WHEN 'century' THEN number * interval '100 years'
        WHEN 'decade' THEN number * interval '10 years'
        WHEN 'year' THEN number * interval '1 year'
        WHEN 'quarter' THEN number * interval '3 months'
        WHEN 'month' THEN number * interval '1 month'
        WHEN 'week' THEN number * interval '7 days'
        WHEN 'day' THEN number * interval '1 day'
        WHEN 'dow' THEN number * interval '1 day'
        WHEN 'doy' THEN number * interval '1 day'
        WHEN 'hour' THEN number * interval '1 hour'
        WHEN 'minute' THEN number * interval '1 minute'
        WHEN 'second' THEN number * interval '1 second'
        WHEN 'milliseconds' THEN number * interval '1 millisecond'
        WHEN 'microseconds' THEN number * interval '1 microsecond'
        ELSE redshift.no_part(part, 'added', interval '0')
    END
$$;

CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, number bigint, moment timestamp) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT moment + redshift.span(part, number) $$;

CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, number bigint, moment timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT moment + redshift.span(part, number) $$;

CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, number bigint, moment date) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT moment::timestamp + redshift.span(part, number) $$;

-- DATEDIFF counts the boundaries of the part between the two moments, not the time that passed.
CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a timestamp, b timestamp) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE redshift.part(part)
        WHEN 'millennium' THEN date_part('millennium', b) - date_part('millennium', a)
        WHEN 'century' THEN date_part('century', b) - date_part('century', a)
        WHEN 'decade' THEN date_part('decade', b) - date_part('decade', a)
        WHEN 'year' THEN date_part('year', b) - date_part('year', a)
        WHEN 'quarter' THEN
            (date_part('year', b) * 4 + date_part('quarter', b)) - (date_part('year', a) * 4 + date_part('quarter', a))
        WHEN 'month' THEN
            (date_part('year', b) * 12 + date_part('month', b)) - (date_part('year', a) * 12 + date_part('month', a))
        WHEN 'week' THEN (date_trunc('week', b)::date - date_trunc('week', a)::date) / 7
        WHEN 'day' THEN b::date - a::date
        WHEN 'dow' THEN b::date - a::date
        WHEN 'doy' THEN b::date - a::date
        WHEN 'hour' THEN extract(epoch FROM date_trunc('hour', b) - date_trunc('hour', a)) / 3600
        WHEN 'minute' THEN extract(epoch FROM date_trunc('minute', b) - date_trunc('minute', a)) / 60
        WHEN 'second' THEN extract(epoch FROM date_trunc('second', b) - date_trunc('second', a))
        WHEN 'milliseconds' THEN
            extract(epoch FROM date_trunc('milliseconds', b) - date_trunc('milliseconds', a)) * 1000
        WHEN 'microseconds' THEN extract(epoch FROM b - a) * 1000000
        ELSE redshift.no_part(part, 'counted', 0::double precision)
    END::bigint
$$;

CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a timestamptz, b timestamptz) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT datediff(part, a::timestamp, b::timestamp) $$;

CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a date, b date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT datediff(part, a::timestamp, b::timestamp) $$;

CREATE OR REPLACE FUNCTION pg_catalog.last_day(moment timestamp) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT (date_trunc('month', moment) + interval '1 month - 1 day')::date
$$;

-- The last day of a month stays the last day.
CREATE OR REPLACE FUNCTION pg_catalog.add_months(moment timestamp, number bigint) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN moment::date = last_day(moment)
        THEN last_day(date_trunc('month', moment) + number * interval '1 month') + moment::time
        ELSE moment + number * interval '1 month'
    END
$$;

CREATE OR REPLACE FUNCTION pg_catalog.convert_timezone(target text, moment timestamp) RETURNS timestamp
LANGUAGE sql STABLE PARALLEL SAFE STRICT AS $$ SELECT moment AT TIME ZONE 'UTC' AT TIME ZONE target $$;

CREATE OR REPLACE FUNCTION pg_catalog.convert_timezone(source text, target text, moment timestamp)
RETURNS timestamp
LANGUAGE sql STABLE PARALLEL SAFE STRICT AS $$ SELECT moment AT TIME ZONE source AT TIME ZONE target $$;

-- Strings ---------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION pg_catalog.len(value text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT length(value) $$;

CREATE OR REPLACE FUNCTION pg_catalog.charindex(part text, value text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT strpos(value, part) $$;

CREATE OR REPLACE FUNCTION pg_catalog.replicate(value text, number integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT repeat(value, number) $$;

CREATE OR REPLACE FUNCTION pg_catalog.strtol(value text, base integer) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    digits text := ltrim(lower(value), '-+');
    total numeric := 0;
    digit integer;
BEGIN
    IF base = 16 AND left(digits, 2) = '0x' THEN
        digits := substr(digits, 3);
    END IF;
    FOR i IN 1 .. length(digits) LOOP
        digit := strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(digits, i, 1)) - 1;
        IF digit < 0 OR digit >= base THEN
            RAISE EXCEPTION USING ERRCODE = '22023',
                MESSAGE = format('The input %s is not valid to be converted to base %s', value, base);
        END IF;
        total := total * base + digit;
    END LOOP;
    RETURN CASE WHEN left(value, 1) = '-' THEN -total ELSE total END;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.sha2(value text, bits integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT encode(
        CASE bits
            WHEN 224 THEN sha224(convert_to(value, 'UTF8'))
            WHEN 384 THEN sha384(convert_to(value, 'UTF8'))
            WHEN 512 THEN sha512(convert_to(value, 'UTF8'))
            ELSE sha256(convert_to(value, 'UTF8'))
        END,
        'hex'
    )
$$;

-- NULL when either operand is NULL; PostgreSQL's concat() skips it.
CREATE OR REPLACE FUNCTION redshift.concat(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT a || b $$;

-- All matches; PostgreSQL replaces the first.
CREATE OR REPLACE FUNCTION redshift.regexp_replace(value text, pattern text, replacement text DEFAULT '')
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT pg_catalog.regexp_replace(value, pattern, regexp_replace(replacement, '\$(\d)', '\\\1', 'g'), 'g')
$$;

-- '' when nothing matches; PostgreSQL gives NULL.
CREATE OR REPLACE FUNCTION redshift.regexp_substr(
    value text, pattern text, start integer DEFAULT 1, occurrence integer DEFAULT 1
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT COALESCE(pg_catalog.regexp_substr(value, pattern, start, occurrence), '')
$$;

CREATE OR REPLACE FUNCTION pg_catalog.json_extract_path_text(document text, VARIADIC path text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $$ SELECT json_extract_path_text(document::json, VARIADIC path) $$;

CREATE OR REPLACE FUNCTION pg_catalog.json_extract_array_element_text(document text, place integer)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT document::json ->> place $$;

CREATE OR REPLACE FUNCTION pg_catalog.json_array_length(document text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT json_array_length(document::json) $$;

CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json(document text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT document IS JSON OBJECT $$;

CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json_array(document text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT document IS JSON ARRAY $$;

CREATE OR REPLACE FUNCTION redshift.version() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.0 (stand-in)'
$$;

-- Loads -----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(NULLIF(current_setting('redshift.last_copy_count', true), ''), '0')::bigint
$$;

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_id() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(NULLIF(current_setting('redshift.last_copy_id', true), ''), '-1')::integer
$$;

-- Aggregates ------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION redshift.median_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FROM unnest(state) AS listed (value)
$$;

CREATE OR REPLACE FUNCTION redshift.integer_average(state bigint[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN state[1] > 0 THEN state[2] / state[1] END
$$;

CREATE OR REPLACE FUNCTION redshift.bigint_accumulate(state numeric[], value bigint) RETURNS numeric[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT ARRAY[state[1] + value, state[2] + 1] $$;

CREATE OR REPLACE FUNCTION redshift.bigint_average(state numeric[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN state[2] > 0 THEN trunc(state[1] / state[2])::bigint END
$$;

DO $do$
DECLARE
    kind text;
    other text;
    symbol text;
    name text;
    number_types text[] := ARRAY['smallint', 'integer', 'bigint', 'numeric', 'double precision'];
    joined_types text[] := number_types || ARRAY['timestamp', 'date'];
BEGIN
    IF to_regprocedure('pg_catalog.listagg(text, text)') IS NULL THEN
        CREATE AGGREGATE pg_catalog.listagg(text, text) (
            sfunc = string_agg_transfn, stype = internal, finalfunc = string_agg_finalfn
        );
    END IF;
    IF to_regprocedure('pg_catalog.median(double precision)') IS NULL THEN
        CREATE AGGREGATE pg_catalog.median(double precision) (
            sfunc = array_append, stype = double precision[], finalfunc = redshift.median_final
        );
    END IF;

    -- AVG of integers is a BIGINT, cut off; PostgreSQL's is a NUMERIC with fractions.
    IF to_regprocedure('pg_catalog.avg_numeric(integer)') IS NULL THEN
        ALTER AGGREGATE pg_catalog.avg(smallint) RENAME TO avg_numeric;
        ALTER AGGREGATE pg_catalog.avg(integer) RENAME TO avg_numeric;
        ALTER AGGREGATE pg_catalog.avg(bigint) RENAME TO avg_numeric;
        CREATE AGGREGATE pg_catalog.avg(smallint) (
            sfunc = int2_avg_accum, stype = bigint[], initcond = '{0,0}', finalfunc = redshift.integer_average,
            combinefunc = int4_avg_combine, parallel = safe
        );
        CREATE AGGREGATE pg_catalog.avg(integer) (
            sfunc = int4_avg_accum, stype = bigint[], initcond = '{0,0}', finalfunc = redshift.integer_average,
            combinefunc = int4_avg_combine, parallel = safe
        );
        CREATE AGGREGATE pg_catalog.avg(bigint) (
            sfunc = redshift.bigint_accumulate, stype = numeric[], initcond = '{0,0}',
            finalfunc = redshift.bigint_average
        );
    END IF;

    -- A string compared with a number: the number becomes a string.
    FOREACH kind IN ARRAY number_types LOOP
        FOR symbol, name IN VALUES ('=', 'eq'), ('<>', 'ne'), ('<', 'lt'), ('<=', 'le'), ('>', 'gt'), ('>=', 'ge') LOOP
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION redshift.compare_%s(text, %s) RETURNS boolean '
                'LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS ''SELECT $1 %s $2::text''',
                name, kind, symbol
            );
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION redshift.compare_%s(%s, text) RETURNS boolean '
                'LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS ''SELECT $1::text %s $2''',
                name, kind, symbol
            );
            IF to_regoperator(format('pg_catalog.%s(text, %s)', symbol, kind)) IS NULL THEN
                EXECUTE format(
                    'CREATE OPERATOR pg_catalog.%s (FUNCTION = redshift.compare_%s, LEFTARG = text, RIGHTARG = %s)',
                    symbol, name, kind
                );
                EXECUTE format(
                    'CREATE OPERATOR pg_catalog.%s (FUNCTION = redshift.compare_%s, LEFTARG = %s, RIGHTARG = text)',
                    symbol, name, kind
                );
            END IF;
        END LOOP;
        -- Strings go into number columns.
        FOREACH other IN ARRAY ARRAY['varchar', 'text'] LOOP
            IF NOT EXISTS (
                SELECT FROM pg_cast WHERE castsource = other::regtype AND casttarget = kind::regtype
            ) THEN
                EXECUTE format('CREATE CAST (%s AS %s) WITH INOUT AS ASSIGNMENT', other, kind);
            END IF;
        END LOOP;
    END LOOP;
    FOREACH kind IN ARRAY ARRAY['timestamp', 'date', 'boolean'] LOOP
        FOREACH other IN ARRAY ARRAY['varchar', 'text'] LOOP
            IF NOT EXISTS (
                SELECT FROM pg_cast WHERE castsource = other::regtype AND casttarget = kind::regtype
            ) THEN
                EXECUTE format('CREATE CAST (%s AS %s) WITH INOUT AS ASSIGNMENT', other, kind);
            END IF;
        END LOOP;
    END LOOP;

    -- || joins numbers and timestamps too.
    FOREACH kind IN ARRAY joined_types LOOP
        FOREACH other IN ARRAY joined_types LOOP
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION redshift.join_texts(%s, %s) RETURNS text '
                'LANGUAGE sql STABLE PARALLEL SAFE STRICT AS ''SELECT $1::text || $2::text''',
                kind, other
            );
            IF to_regoperator(format('pg_catalog.||(%s, %s)', kind, other)) IS NULL THEN
                EXECUTE format(
                    'CREATE OPERATOR pg_catalog.|| (FUNCTION = redshift.join_texts, LEFTARG = %s, RIGHTARG = %s)',
                    kind, other
                );
            END IF;
        END LOOP;
    END LOOP;
END $do$;

-- Privileges ------------------------------------------------------------------------------------------------

-- The user of the stand-in makes users, and no other does: it is Redshift's superuser here.
CREATE OR REPLACE FUNCTION redshift.is_superuser(username text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_roles WHERE rolname = username AND (rolsuper OR rolcreaterole)
    )
$$;

CREATE OR REPLACE FUNCTION pg_catalog.has_assumerole_privilege(username text, iam_role text, purpose text)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT redshift.is_superuser($1) OR EXISTS (
        SELECT FROM redshift.role_grants AS granted
        LEFT JOIN pg_roles AS grantee ON grantee.rolname = granted.grantee
        WHERE granted.iam_role IN ('ALL', $2) AND granted.purpose = upper($3)
            AND (granted.grantee = 'public' OR pg_has_role($1::name, grantee.oid, 'MEMBER'))
    )
$$;

CREATE OR REPLACE FUNCTION pg_catalog.has_assumerole_privilege(iam_role text, purpose text) RETURNS boolean
LANGUAGE sql STABLE AS $$ SELECT pg_catalog.has_assumerole_privilege(current_user::text, $1, $2) $$;

CREATE OR REPLACE FUNCTION redshift.check_grant(grantees text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    IF NOT redshift.is_superuser(session_user::text) THEN
        RAISE EXCEPTION 'must be superuser to grant or revoke ASSUMEROLE' USING ERRCODE = '42501';
    END IF;
    FOREACH name IN ARRAY grantees LOOP
        IF name <> 'public' AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            RAISE EXCEPTION 'user or group "%" does not exist', name USING ERRCODE = '42704';
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE redshift.grant_assumerole(iam_roles text[], grantees text[], purposes text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM redshift.check_grant(grantees);
    INSERT INTO redshift.role_grants
    SELECT grantee, iam_role, purpose
    FROM unnest(grantees) AS grantee, unnest(iam_roles) AS iam_role, unnest(purposes) AS purpose
    ON CONFLICT DO NOTHING;
END $$;

CREATE OR REPLACE PROCEDURE redshift.revoke_assumerole(iam_roles text[], grantees text[], purposes text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM redshift.check_grant(grantees);
    DELETE FROM redshift.role_grants AS granted
    WHERE granted.grantee = ANY(grantees)
        AND granted.purpose = ANY(purposes)
        AND ('ALL' = ANY(iam_roles) OR granted.iam_role = ANY(iam_roles));
END $$;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA redshift TO PUBLIC;

-- A session sets it when it begins; SET and SHOW do not know it, as on Redshift.
DO $$
BEGIN
    IF NOT has_parameter_privilege('public', 'deadlock_timeout', 'SET') THEN
        EXECUTE 'GRANT SET ON PARAMETER deadlock_timeout TO PUBLIC';
    END IF;
END $$;

-- Tables ----------------------------------------------------------------------------------------------------

-- Redshift skips blocks by its zone maps when a range of the sort key is asked for. A BRIN index is one: the
-- least and the greatest value of each 1 MB, Redshift's block. It finds no single row, as Redshift does not.
-- A type that has none (BOOLEAN) is read whole. Redshift's VACUUM sorts, which PostgreSQL's does not: a page
-- keeps room for what is updated in it, so that old rows stay among their like, and leave no gap for new rows
-- to widen their block. The planner has to know as well how many days a TIMESTAMP key spans: it takes every
-- moment for a day of its own otherwise, and sorts what it could count.
CREATE OR REPLACE FUNCTION redshift.index_sort_key(target text, key text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = target::regclass) THEN
        EXECUTE format(
            'CREATE INDEX ON %s USING brin (%I) WITH (pages_per_range = %s, autosummarize = on)',
            target::regclass, key, 1048576 / current_setting('block_size')::integer
        );
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 90)', target::regclass);
        IF EXISTS (
            SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = target::regclass AND attname = key AND atttypid = 'timestamp'::regtype
        ) THEN
            EXECUTE format('CREATE STATISTICS ON (%I::date) FROM %s', key, target::regclass);
        END IF;
    END IF;
EXCEPTION
    WHEN undefined_object THEN NULL;
END $$;

-- Whether a statement of this transaction finds no row. Only who may read a table is told of deleted ones.
CREATE OR REPLACE FUNCTION redshift.is_empty(target regclass) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found boolean;
BEGIN
    IF pg_relation_size(target) = 0 OR NOT has_table_privilege(target, 'SELECT') THEN
        RETURN pg_relation_size(target) = 0;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', target) INTO found;
    RETURN NOT found;
END $$;

-- Statistics as Redshift makes them by itself: 3,000 rows are enough for the planner, at a tenth of the cost.
CREATE OR REPLACE FUNCTION redshift.analyze(target text) RETURNS void
LANGUAGE plpgsql SET default_statistics_target = 10 AS $$
BEGIN
    EXECUTE format('ANALYZE %s', target::regclass);
END $$;

-- VARCHAR(n) and CHAR(n) count bytes: PostgreSQL counts characters, a CHECK the bytes. errors.py words it.
CREATE OR REPLACE FUNCTION redshift.count_bytes() RETURNS event_trigger
LANGUAGE plpgsql AS $$
DECLARE
    changed record;
    present text[];
    wanted text[];
    added text;
    dropped text;
BEGIN
    IF current_setting('redshift.counts_bytes', true) = 'off' THEN
        RETURN;
    END IF;
    FOR changed IN
        SELECT DISTINCT objid FROM pg_event_trigger_ddl_commands()
        WHERE object_type IN ('table', 'table column') AND classid = 'pg_class'::regclass
    LOOP
        present := ARRAY(
            SELECT conname FROM pg_constraint
            WHERE conrelid = changed.objid AND contype = 'c' AND conname LIKE 'redshift\_bytes\_%'
        );
        SELECT array_agg(name), string_agg(format('ADD CONSTRAINT %I %s', name, rule), ', ') FILTER (WHERE name <> ALL (present))
        INTO wanted, added
        FROM (
            SELECT
                format('redshift_bytes_%s_%s_%s', format_type(atttypid, NULL), atttypmod - 4, attnum) AS name,
                format('CHECK (octet_length(%I) <= %s)', attname, atttypmod - 4) AS rule
            FROM pg_attribute
            WHERE attrelid = changed.objid AND attnum > 0 AND NOT attisdropped AND atttypmod > 4
                AND atttypid IN ('varchar'::regtype, 'bpchar'::regtype)
        ) AS rules;
        SELECT string_agg(format('DROP CONSTRAINT %I', name), ', ') INTO dropped
        FROM unnest(present) AS name
        WHERE name <> ALL (COALESCE(wanted, '{}'));
        IF COALESCE(added, dropped) IS NOT NULL AND EXISTS (SELECT FROM pg_class WHERE oid = changed.objid AND relkind = 'r') THEN
            PERFORM redshift.alter_rules(changed.objid, concat_ws(', ', dropped, added));
        END IF;
    END LOOP;
END $$;

-- What count_bytes() changes itself, it need not look at again.
CREATE OR REPLACE FUNCTION redshift.alter_rules(target regclass, actions text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s %s', target, actions);
END $$ SET redshift.counts_bytes = 'off'; -- noqa: PRS

-- Event triggers are unknown to sqlfluff.
DROP EVENT TRIGGER IF EXISTS redshift_count_bytes; -- noqa: PRS
CREATE EVENT TRIGGER redshift_count_bytes ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
    EXECUTE FUNCTION redshift.count_bytes();
