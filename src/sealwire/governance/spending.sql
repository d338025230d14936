-- name: admit
SELECT governance.admit($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: count_refused
SELECT governance.count_refused($1, $2, $3)

-- name: extend
SELECT governance.extend($1, $2, $3, $4, $5)

-- name: settle
SELECT governance.settle($1, $2, $3, $4, $5, $6, $7)

-- name: spend
SELECT governance.spend($1, $2, $3)

-- name: lapse
SELECT governance.lapse($1, $2)

-- name: find_reservations
SELECT reservation_id, terms FROM governance.reservation
WHERE account_id = $1 AND reservation_id = ANY($2) AND state IN ('held', 'settled')

-- name: unbilled_of_call
SELECT reservation_id, call_id, state, amount, terms, used_s, made_at, settled_at FROM governance.reservation
WHERE account_id = $1 AND call_id = $2 AND kind <> 'message' ORDER BY made_at

-- name: unbilled_calls
SELECT reservation_id, call_id, state, amount, terms, used_s, made_at, settled_at FROM governance.reservation
WHERE account_id = $1 AND kind <> 'message' AND (settled_at < $2 OR ($3 AND state <> 'settled')) ORDER BY made_at LIMIT 1000

-- name: forget_billed
DELETE FROM governance.reservation WHERE account_id = $1 AND reservation_id = ANY($2) AND state = 'settled'

-- name: drop_lapsed
DELETE FROM governance.reservation WHERE state = 'lapsed' AND expires_at < $1

-- name: allowed_destinations
SELECT destination, premium, added_at FROM governance.allowed_destination WHERE account_id = $1 ORDER BY destination

-- name: drop_destinations
DELETE FROM governance.allowed_destination WHERE account_id = $1

-- name: insert_destination
INSERT INTO governance.allowed_destination (account_id, destination, premium, added_at) VALUES ($1, $2, $3, $4)

-- name: destination_rules
SELECT governance.destination_rules($1, $2)

-- name: spending_at
SELECT day_cap_max, month_cap_max, calls_max, setups_per_second_max, refused_per_minute_max, premium_per_minute_max,
       short_per_minute_max, owner_day_cap, owner_month_cap, owner_calls, card_policy, day_spent, month_spent, reserved,
       calls_up, suspended_at, suspended_for
FROM governance.spending_at($1, $2)

-- name: set_owner_limits
UPDATE governance.spending SET owner_day_cap = $2, owner_month_cap = $3, owner_calls = $4, card_policy = $5
WHERE account_id = $1

-- name: set_operator_limits
UPDATE governance.spending SET day_cap_max = $2, month_cap_max = $3, calls_max = $4, setups_per_second_max = $5,
       refused_per_minute_max = $6, premium_per_minute_max = $7, short_per_minute_max = $8
WHERE account_id = $1

-- name: suspend
UPDATE governance.spending SET suspended_at = $2, suspended_for = 'operator' WHERE account_id = $1 AND suspended_at IS NULL

-- name: lift_suspension
UPDATE governance.spending SET suspended_at = NULL, suspended_for = NULL, refused = 0, premium = 0, short = 0
WHERE account_id = $1

-- name: card_policy
SELECT card_policy FROM governance.spending WHERE account_id = $1
