{{ config(dedup=['event_source', 'event_id']) }}

-- Stock levels, low stock, sold out and refills of the selections of vending machines, one row per
-- event.
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
    selection,
    product_id,
    stock_count,
    capacity,
    par_level,
    low_stock_level,
    low_stock,
    sold_out,
    last_vend_at,
    visit_id,
    operator_id,
    stock_count_before,
    refilled_count,
    removed_count,
    expires_on,
    site_id,
    trace_id,
    stock_count = 0 or coalesce(sold_out, false) as is_empty
from {{ source('raw', 'vending_inventory') }}
