{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='pattern_date', batch_size='day',
    unique_key=['pattern_date', 'machine_id', 'payment_method', 'currency']
) }}

-- Per day, machine and method: how often paying failed, how often money went back, and the longest
-- run of failures. For those who look for fraud and for broken payment devices. What customers
-- cancelled is counted, but breaks no run and belongs to none.
with attempts as (
    select
        event_day,
        machine_id,
        payment_method,
        currency,
        payment_outcome,
        payment_fail_status,
        net_amount,
        is_late,
        row_number() over (
            partition by event_day, machine_id, payment_method, currency,
                payment_outcome = 'cancelled_by_user'
            order by event_time, _source, _kafka_partition, _offset
        ) - row_number() over (
            partition by event_day, machine_id, payment_method, currency, payment_outcome
            order by event_time, _source, _kafka_partition, _offset
        ) as run
    from {{ ref('fct_payments') }}
),

runs as (
    select event_day, machine_id, payment_method, currency, run, count(*) as failures
    from attempts
    where payment_outcome = 'failed'
    group by event_day, machine_id, payment_method, currency, run
),

longest as (
    select event_day, machine_id, payment_method, currency, max(failures) as failed_run_max
    from runs
    group by event_day, machine_id, payment_method, currency
),

payments as (
    select
        event_day,
        machine_id,
        payment_method,
        currency,
        count(*) as payments,
        sum(case when payment_outcome = 'succeeded' then 1 else 0 end) as payments_succeeded,
        sum(case when payment_outcome = 'failed' then 1 else 0 end) as payments_failed,
        sum(case when payment_outcome = 'cancelled_by_user' then 1 else 0 end)
            as payments_cancelled,
        sum(case when payment_fail_status = 'declined' then 1 else 0 end) as payments_declined,
        sum(case when payment_fail_status = 'device' then 1 else 0 end)
            as payments_failed_by_device,
        cast(sum(net_amount) as decimal(18, 4)) as paid_amount,
        0 as refunds,
        0 as refunds_failed,
        cast(0 as decimal(18, 4)) as refunded_amount,
        sum(case when is_late then 1 else 0 end) as events_late
    from attempts
    group by event_day, machine_id, payment_method, currency
    union all
    select
        event_day,
        machine_id,
        payment_method,
        currency,
        0 as payments,
        0 as payments_succeeded,
        0 as payments_failed,
        0 as payments_cancelled,
        0 as payments_declined,
        0 as payments_failed_by_device,
        cast(0 as decimal(18, 4)) as paid_amount,
        count(*) as refunds,
        sum(case when refund_outcome = 'failed' then 1 else 0 end) as refunds_failed,
        cast(sum(refund_amount) as decimal(18, 4)) as refunded_amount,
        sum(case when is_late then 1 else 0 end) as events_late
    from {{ ref('stg_vending_sales') }}
    where event_type = 'vending.sales.refund'
    group by event_day, machine_id, payment_method, currency
),

days as (
    select
        event_day,
        machine_id,
        payment_method,
        currency,
        sum(payments) as payments,
        sum(payments_succeeded) as payments_succeeded,
        sum(payments_failed) as payments_failed,
        sum(payments_cancelled) as payments_cancelled,
        sum(payments_declined) as payments_declined,
        sum(payments_failed_by_device) as payments_failed_by_device,
        cast(sum(paid_amount) as decimal(18, 4)) as paid_amount,
        sum(refunds) as refunds,
        sum(refunds_failed) as refunds_failed,
        cast(sum(refunded_amount) as decimal(18, 4)) as refunded_amount,
        sum(events_late) as events_late
    from payments
    group by event_day, machine_id, payment_method, currency
)

select
    cast(days.event_day as date) as pattern_date,
    cast(to_char(days.event_day, '%Y%m%d') as int) as date_key,
    days.machine_id,
    days.payment_method,
    days.currency,
    days.payments,
    days.payments_succeeded,
    days.payments_failed,
    days.payments_cancelled,
    days.payments_declined,
    days.payments_failed_by_device,
    case when days.payments > 0 then 100.0 * days.payments_failed / days.payments end as failed_pct,
    coalesce(longest.failed_run_max, 0) as failed_run_max,
    days.paid_amount,
    days.refunds,
    days.refunds_failed,
    days.refunded_amount,
    days.events_late,
    100.0 * (days.payments + days.refunds - days.events_late) / (days.payments + days.refunds)
        as in_time_pct
from days
left join longest
    on longest.event_day = days.event_day
    and longest.machine_id = days.machine_id
    and longest.payment_method = days.payment_method
    and longest.currency = days.currency
