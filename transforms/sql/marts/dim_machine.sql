{{ config(materialized='table') }}

-- One row per machine and interval; what holds now has no valid_to.
select
    machine_id,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    machine_name,
    machine_kind,
    manufacturer,
    model,
    machine_status,
    commissioned_on,
    selection_count,
    site_id,
    network_type,
    refrigerated,
    temperature_target_c,
    temperature_max_c,
    heartbeat_interval_s,
    availability_target_pct
from {{ source('ref', 'machines_history') }}
