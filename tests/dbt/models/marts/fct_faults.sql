with faults as (
    select
        machine_id,
        fault_id,
        max(fault) as fault,
        max(eva_dts_code) as eva_dts_code,
        max(component) as component,
        max(severity) as severity,
        max(selection) as selection,
        min(raised_at) as raised_at,
        max(cleared_at) as cleared_at,
        max(clear_reason) as clear_reason,
        coalesce(bool_or(in_maintenance) filter (event_type = 'vending.faults.raised'), false)
            as is_raised_in_maintenance,
        count(*) filter (is_late) as events_late
    from {{ ref('stg_vending_faults') }}
    group by machine_id, fault_id
)

select
    fault.*,
    machine.machine_key,
    machine.site_id,
    site.region,
    day_key(fault.raised_at) as date_key,
    seconds(fault.raised_at, fault.cleared_at) as duration_s,
    fault.cleared_at is null as is_open
from faults as fault
{{ place('fault.machine_id', 'fault.raised_at') }}
