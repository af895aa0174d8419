{{ config(dedup=['event_source', 'event_id']) }}

-- Log lines, starts, ends and crashes of the software of vending machines, one row per event.
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
    level,
    logger,
    message,
    boot_id,
    line_number,
    firmware_version,
    uptime_s,
    attributes,
    shutdown_reason,
    error_type,
    crash_dump_uri,
    crash_dump_bytes,
    crash_dump_sha256,
    site_id,
    trace_id
from {{ source('raw', 'vending_logs') }}
