{{ config(unique_key=['store_id', 'till_id', 'shift_id']) }}

-- Every shift of a till: what was in the drawer, and whether it is what the receipts say. Of a
-- shift whose end is not there nothing can be said yet. Longer history: a shift belongs to the day
-- on which it began, and may end after midnight.
with shifts as (
    select
        store_id,
        till_id,
        shift_id,
        min(opened_at) as opened_at,
        max(closed_at) as closed_at,
        max(cashier_id) as cashier_id,
        max(currency) as currency,
        max(case when event_type = 'store.operations.till_opened' then cash_amount end)
            as cash_opening_amount,
        cast(sum(case when event_type = 'store.operations.cash_added' then cash_amount
            else cast(0 as decimal(18, 4)) end) as decimal(18, 4)) as cash_added_amount,
        cast(sum(case when event_type = 'store.operations.cash_removed' then cash_amount
            else cast(0 as decimal(18, 4)) end) as decimal(18, 4)) as cash_removed_amount,
        sum(case when event_type = 'store.operations.drawer_opened' then 1 else 0 end)
            as drawer_openings,
        max(cash_expected_amount) as cash_expected_amount,
        max(cash_counted_amount) as cash_counted_amount,
        max(receipt_count) as receipt_count
    from {{ ref('stg_store_operations') }}
    where shift_id is not null
    group by store_id, till_id, shift_id
)

select
    store_id,
    till_id,
    shift_id,
    cashier_id,
    opened_at,
    closed_at,
    cast(to_char(opened_at, '%Y%m%d') as int) as date_key,
    currency,
    cash_opening_amount,
    cash_added_amount,
    cash_removed_amount,
    drawer_openings,
    receipt_count,
    cash_expected_amount,
    cash_counted_amount,
    cast(cash_counted_amount - cash_expected_amount as decimal(18, 4)) as cash_difference_amount,
    closed_at is null as is_open,
    coalesce(cash_counted_amount <> cash_expected_amount, false) as is_different
from shifts
where opened_at is not null
