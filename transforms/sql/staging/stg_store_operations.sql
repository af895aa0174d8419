{{ config(dedup=['event_source', 'event_id']) }}

-- Shifts, cash and faults of tills, one row per event.
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
    till_id,
    store_id,
    cashier_id,
    shift_id,
    opened_at,
    closed_at,
    upper(currency) as currency,
    cash_amount,
    cash_expected_amount,
    cash_counted_amount,
    receipt_count,
    fault_id,
    component,
    message,
    site_id,
    trace_id
from {{ source('raw', 'store_operations') }}
