"""PostgreSQL: the embedded cluster, roles and schema, pools, named queries."""
