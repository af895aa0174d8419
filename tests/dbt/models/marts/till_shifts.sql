with shifts as (
    select
        store_id,
        till_id,
        shift_id,
        max(cashier_id) as cashier_id,
        min(opened_at) as opened_at,
        max(closed_at) as closed_at,
        max(upper(currency)) as currency,
        max(cash_amount) filter (event_type = 'store.operations.till_opened')
            as cash_opening_amount,
        coalesce(sum(cash_amount) filter (event_type = 'store.operations.cash_added'), 0)
            ::decimal(18, 4) as cash_added_amount,
        coalesce(sum(cash_amount) filter (event_type = 'store.operations.cash_removed'), 0)
            ::decimal(18, 4) as cash_removed_amount,
        count(*) filter (event_type = 'store.operations.drawer_opened') as drawer_openings,
        max(receipt_count) as receipt_count,
        max(cash_expected_amount) as cash_expected_amount,
        max(cash_counted_amount) as cash_counted_amount
    from {{ ref('stg_store_operations') }}
    where shift_id is not null
    group by all
    having opened_at is not null
)

select
    *,
    day_key(opened_at) as date_key,
    (cash_counted_amount - cash_expected_amount)::decimal(18, 4) as cash_difference_amount,
    closed_at is null as is_open,
    ifnull(cash_difference_amount <> 0, false) as is_different
from shifts
