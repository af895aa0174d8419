{{ config(dedup=['event_source', 'event_id']) }}

-- Stock of stores: levels, counts, deliveries, adjustments, one row per event.
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
    store_id,
    product_id,
    location,
    stock_quantity,
    unit,
    par_level,
    low_stock_level,
    change_quantity,
    adjustment_reason,
    delivery_id,
    supplier_id,
    unit_cost,
    upper(currency) as currency,
    expires_on,
    operator_id,
    site_id,
    trace_id,
    stock_quantity <= low_stock_level as is_due
from {{ source('raw', 'store_inventory') }}
