-- name: statements_for_blocks
SELECT t.table_name AS place, format(
    'SELECT DISTINCT account_id, %s AS category, retention_class, day, slot / 256 AS block FROM custody.%I WHERE slot IS NOT NULL',
    CASE WHEN bool_or(t.column_name = 'category') THEN 'category' ELSE 'NULL::smallint' END, t.table_name) AS statement
FROM information_schema.columns t JOIN information_schema.tables b USING (table_schema, table_name)
WHERE t.table_schema = 'custody' AND b.table_type = 'BASE TABLE'
GROUP BY t.table_name
HAVING bool_or(t.column_name = 'slot') AND bool_or(t.column_name = 'account_id') AND bool_or(t.column_name = 'day')
    AND bool_or(t.column_name = 'retention_class')
ORDER BY t.table_name
