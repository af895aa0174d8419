{{ config(dedup=['event_source', 'event_id']) }}

-- Faults of vending machines, raised and cleared, one row per event.
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
    fault_id,
    fault,
    eva_dts_code,
    component,
    severity,
    selection,
    sensor,
    temperature_c,
    transaction_id,
    occurrence_count,
    message,
    raised_at,
    cleared_at,
    clear_reason,
    site_id,
    trace_id
from {{ source('raw', 'vending_faults') }}
