-- name: database_exists
SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1);

-- name: statement_to_create_database
SELECT format('CREATE DATABASE %I OWNER sealwire_owner TEMPLATE template0', $1::text);

-- name: statement_to_close_database
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', $1::text);

-- name: statement_to_admit_role
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', $1::text, $2::text);

-- name: statement_to_set_password
SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text);
