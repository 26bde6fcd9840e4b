-- Who holds the publish lock. Redshift shows a user only their own transactions, and a superuser all of them
-- ("SVV_TRANSACTIONS").
SELECT DISTINCT
    t.pid,
    t.txn_owner,
    t.txn_start
FROM svv_transactions AS t
INNER JOIN pg_class AS c ON t.relation = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    n.nspname = 'staging'
    AND c.relname = 'publish_lock'
    AND t.granted
ORDER BY t.txn_start, t.pid;
