-- name: erasure_is_waiting
SELECT EXISTS (SELECT FROM custody.erasure WHERE state <> 'removed' AND state = 'hidden')
