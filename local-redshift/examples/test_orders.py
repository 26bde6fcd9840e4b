"""How any project tests its Redshift code: with the fixtures `redshift` and `s3_bucket`."""


def test_orders_are_loaded(redshift, s3_bucket):
    s3_bucket.put("orders/1.json", '{"id": 1, "price": 9.99}\n{"id": 2, "price": 0.01}')
    redshift.execute("CREATE TABLE orders (id INT, price DECIMAL(8, 2)) SORTKEY (id)")
    redshift.execute(f"COPY orders FROM '{s3_bucket.url}/orders/' IAM_ROLE default JSON 'auto'")
    assert redshift.execute("SELECT COUNT(*), SUM(price) FROM orders") == [(2, 10)]


def test_each_test_has_a_database_of_its_own(redshift):
    assert redshift.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    connection = redshift.connect()
    connection.cursor().execute("CREATE TABLE orders (id INT)")
