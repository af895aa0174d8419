-- A run of failures: failed attempts that have as many others before them, what was cancelled left
-- aside.
with tried as (
    select
        *,
        count(*) filter (payment_outcome = 'succeeded') over (
            partition by event_day, machine_id, payment_method, currency
            order by event_time, _source, _kafka_partition, _offset
        ) as succeeded_before
    from {{ ref('fct_payments') }}
),

runs as (
    select event_day, machine_id, payment_method, currency, succeeded_before, count(*) as failures
    from tried
    where payment_outcome = 'failed'
    group by all
),

longest as (
    select event_day, machine_id, payment_method, currency, max(failures) as failures
    from runs
    group by all
),

events as (
    select
        event_day, machine_id, payment_method, currency, is_late, payment_outcome,
        payment_fail_status, net_amount, 'payment' as kind
    from {{ ref('fct_payments') }}
    union all by name
    select
        event_day, machine_id, payment_method, upper(currency) as currency, is_late, refund_outcome,
        refund_amount, 'refund' as kind
    from {{ ref('stg_vending_sales') }}
    where event_type = 'vending.sales.refund'
)

select
    event_day::date as pattern_date,
    day_key(event_day) as date_key,
    machine_id,
    payment_method,
    currency,
    count(*) filter (kind = 'payment') as payments,
    count(*) filter (payment_outcome = 'succeeded') as payments_succeeded,
    count(*) filter (payment_outcome = 'failed') as payments_failed,
    count(*) filter (payment_outcome = 'cancelled_by_user') as payments_cancelled,
    count(*) filter (payment_fail_status = 'declined') as payments_declined,
    count(*) filter (payment_fail_status = 'device') as payments_failed_by_device,
    pct(payments_failed, payments) as failed_pct,
    coalesce(any_value(longest.failures), 0) as failed_run_max,
    coalesce(sum(net_amount), 0)::decimal(18, 4) as paid_amount,
    count(*) filter (kind = 'refund') as refunds,
    count(*) filter (refund_outcome = 'failed') as refunds_failed,
    coalesce(sum(refund_amount), 0)::decimal(18, 4) as refunded_amount,
    count(*) filter (is_late) as events_late,
    pct(count(*) filter (not is_late), count(*)) as in_time_pct
from events
left join longest using (event_day, machine_id, payment_method, currency)
group by event_day, machine_id, payment_method, currency
