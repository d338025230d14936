-- name: store_operator_credential
SELECT governance.store_operator_credential($1, $2, $3)
