{{ config(unique_key=['machine_id', 'fault_id']) }}

-- One row per occurrence of a fault: when it was raised, and cleared if it was. What raised it may
-- be missing (rejected, lost by the machine): what cleared it says when it began. Longer history: a
-- fault belongs to the day on which it began, and is cleared days later.
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
        max(case when event_type = 'vending.faults.raised' and in_maintenance then 1 else 0 end) = 1
            as is_raised_in_maintenance,
        sum(case when is_late then 1 else 0 end) as events_late
    from {{ ref('stg_vending_faults') }}
    group by machine_id, fault_id
)

select
    fault.machine_id,
    machine.machine_key,
    machine.site_id,
    site.region,
    fault.fault_id,
    fault.fault,
    fault.eva_dts_code,
    fault.component,
    fault.severity,
    fault.selection,
    fault.raised_at,
    fault.cleared_at,
    cast(to_char(fault.raised_at, '%Y%m%d') as int) as date_key,
    (cast(fault.cleared_at as bigint) - cast(fault.raised_at as bigint)) / 1000000.0 as duration_s,
    fault.clear_reason,
    fault.cleared_at is null as is_open,
    fault.is_raised_in_maintenance,
    fault.events_late
from faults as fault
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = fault.machine_id
    and machine.valid_from <= fault.raised_at
    and (machine.valid_to is null or machine.valid_to > fault.raised_at)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= fault.raised_at
    and (site.valid_to is null or site.valid_to > fault.raised_at)
