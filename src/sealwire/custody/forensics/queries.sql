-- name: make_control_table
CREATE TABLE IF NOT EXISTS public.sealwire_sweep_control (number text NOT NULL, audio bytea STORAGE EXTERNAL NOT NULL)

-- name: plant_control
INSERT INTO public.sealwire_sweep_control (number, audio) VALUES ($1, $2)

-- name: checkpoint
CHECKPOINT

-- name: drop_control_table
DROP TABLE IF EXISTS public.sealwire_sweep_control

-- name: switch_wal
SELECT pg_switch_wal()

-- name: drop_tombstones
TRUNCATE custody.gone, custody.gone_day
