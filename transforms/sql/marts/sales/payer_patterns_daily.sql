{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='pattern_date', batch_size='day',
    unique_key=['pattern_date', 'payer_id', 'currency']
) }}

-- Per day and card or wallet: how often it was tried, at how many machines, and what went back to
-- it. A token that fails at many machines is being tried out; one that is refunded again and again
-- lives on it. Cash has no payer.
select
    cast(event_day as date) as pattern_date,
    cast(to_char(event_day, '%Y%m%d') as int) as date_key,
    payer_id,
    currency,
    count(distinct machine_id) as machines,
    sum(case when event_type = 'vending.sales.payment' then 1 else 0 end) as payments,
    sum(case when payment_outcome = 'failed' then 1 else 0 end) as payments_failed,
    count(distinct case when payment_outcome = 'failed' then machine_id end) as machines_failed,
    sum(case when event_type = 'vending.sales.refund' then 1 else 0 end) as refunds,
    cast(sum(
        case when event_type = 'vending.sales.refund' then refund_amount
            else cast(0 as decimal(18, 4)) end
    ) as decimal(18, 4)) as refunded_amount,
    min(event_time) as first_event_at,
    max(event_time) as last_event_at,
    sum(case when is_late then 1 else 0 end) as events_late,
    100.0 * sum(case when is_late then 0 else 1 end) / count(*) as in_time_pct
from {{ ref('stg_vending_sales') }}
where payer_id is not null and event_type in ('vending.sales.payment', 'vending.sales.refund')
group by event_day, payer_id, currency
