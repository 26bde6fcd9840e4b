-- "Significance of trailing blanks": two texts that differ in nothing but the blanks at their end are
-- equal, in =, <>, IN, joins, GROUP BY, DISTINCT, UNION, EXCEPT, INTERSECT, ORDER BY and windows.
-- PostgreSQL compares its CHAR like that, and stores it in the same way: here VARCHAR and TEXT are
-- compared by the functions of CHAR. LEN, LIKE, || and what is stored do not change.
UPDATE pg_catalog.pg_operator AS compared
SET oprcode = of_char.oprcode
FROM pg_catalog.pg_operator AS of_char
WHERE
    compared.oprleft = 'text'::regtype
    AND compared.oprright = 'text'::regtype
    AND of_char.oprleft = 'bpchar'::regtype
    AND of_char.oprright = 'bpchar'::regtype
    AND compared.oprname = of_char.oprname
    AND compared.oprname IN ('=', '<>', '<', '<=', '>', '>=');

UPDATE pg_catalog.pg_amproc AS support
SET amproc = of_char.function
FROM (
    VALUES
    ('bttextcmp'::regproc, 'bpcharcmp'::regproc),
    ('bttextsortsupport'::regproc, 'bpchar_sortsupport'::regproc),
    ('hashtext'::regproc, 'hashbpchar'::regproc),
    ('hashtextextended'::regproc, 'hashbpcharextended'::regproc)
) AS of_char (of_text, function)
WHERE
    support.amproclefttype = 'text'::regtype
    AND support.amprocrighttype = 'text'::regtype
    AND support.amproc = of_char.of_text;

-- Equal texts have other bytes now: an index may not keep one of them for all.
DELETE FROM pg_catalog.pg_amproc
WHERE
    amproc = 'btvarstrequalimage'::regproc
    AND amproclefttype = 'text'::regtype;
