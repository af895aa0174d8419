{{ config(dedup=['event_source', 'event_id']) }}

-- What firmware and configuration vending machines run, and the steps of their updates, one row per
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
    firmware_version,
    configuration_version,
    planogram_version,
    controller_model,
    serial_number,
    feature_flags,
    update_id,
    rollout_id,
    update_kind,
    from_version,
    to_version,
    attempt_number,
    update_started_at,
    update_ended_at,
    update_stage,
    update_fail_status,
    site_id,
    trace_id
from {{ source('raw', 'vending_configuration') }}
