-- name: tokens_of
SELECT token FROM custody.blind_index WHERE record_id = $1

-- name: make_buffercache
CREATE EXTENSION IF NOT EXISTS pg_buffercache

-- name: evict_all
SELECT pg_buffercache_evict_all()

-- name: make_careless_table
CREATE TABLE IF NOT EXISTS public.careless (caller text)

-- name: fill_careless_table
INSERT INTO public.careless VALUES ($1)

-- name: checkpoint
CHECKPOINT
