{{ config(dedup=['event_source', 'event_id']) }}

-- What a machine said of a payment, a delivery or a refund, one row per event.
select
    _source,
    _partition,
    _offset,
    event_source,
    event_id,
    event_type,
    event_time,
    date_trunc('day', event_time) as event_day,
    _kafka_time - event_time > interval '5 minutes' as is_late,
    machine_id,
    site_id,
    in_maintenance,
    transaction_id,
    selection,
    product_id,
    price,
    currency,
    payment_method,
    payment_outcome,
    payment_fail_status,
    paid_amount,
    change_amount,
    vend_mode,
    vend_outcome,
    vend_fail_status,
    refund_outcome,
    refund_reason,
    refund_amount,
    trace_id
from {{ source('raw', 'vending_sales') }}
