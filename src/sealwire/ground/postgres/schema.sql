-- name: prepare
CREATE SCHEMA IF NOT EXISTS ground;
CREATE TABLE IF NOT EXISTS ground.migration (
    room text NOT NULL,
    file text NOT NULL,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL,
    PRIMARY KEY (room, file)
);

-- name: lock
SELECT pg_advisory_xact_lock(7236028);

-- name: applied
SELECT room, file, sha256 FROM ground.migration;

-- name: record
INSERT INTO ground.migration (room, file, sha256, applied_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (room, file) DO UPDATE SET sha256 = excluded.sha256, applied_at = excluded.applied_at;
