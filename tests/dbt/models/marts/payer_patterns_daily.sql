with events as (
    select
        *,
        upper(currency) as code,
        event_type = 'vending.sales.payment' as is_payment,
        event_type = 'vending.sales.refund' as is_refund
    from {{ ref('stg_vending_sales') }}
)

select
    event_day::date as pattern_date,
    day_key(event_day) as date_key,
    payer_id,
    code as currency,
    count(distinct machine_id) as machines,
    count(*) filter (is_payment) as payments,
    count(*) filter (payment_outcome = 'failed') as payments_failed,
    count(distinct machine_id) filter (payment_outcome = 'failed') as machines_failed,
    count(*) filter (is_refund) as refunds,
    coalesce(sum(refund_amount) filter (is_refund), 0)::decimal(18, 4) as refunded_amount,
    min(event_time) as first_event_at,
    max(event_time) as last_event_at,
    count(*) filter (is_late) as events_late,
    pct(count(*) filter (not is_late), count(*)) as in_time_pct
from events
where payer_id is not null and (is_payment or is_refund)
group by event_day, payer_id, code
