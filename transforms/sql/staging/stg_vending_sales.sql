{{ config(dedup=['event_source', 'event_id']) }}

-- Payments, deliveries and refunds of vending machines, one row per event.
-- Codes of currencies in capitals, whatever was sent.
select
    _source,
    _kafka_partition,
    _offset,
    _kafka_time,
    event_source,
    event_id,
    event_type,
    event_time,
    date_trunc('day', event_time) as event_day,
    _kafka_time - event_time > interval '{{ var("lateness_minutes", 5) }} minutes' as is_late,
    machine_id,
    in_maintenance,
    transaction_id,
    selection,
    product_id,
    price,
    upper(currency) as currency,
    payment_method,
    payment_outcome,
    payment_fail_status,
    paid_amount,
    change_amount,
    payer_id,
    vend_mode,
    vend_outcome,
    vend_fail_status,
    refund_outcome,
    refund_reason,
    refund_amount,
    non_refunded_amount,
    site_id,
    trace_id
from {{ source('raw', 'vending_sales') }}
