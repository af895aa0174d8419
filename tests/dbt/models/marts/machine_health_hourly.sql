with hours as (
    select
        to_timestamp(epoch_us(event_time) // 3600000000 * 3600) as hour_start,
        machine_id,
        count(*) as events,
        count(*) filter (event_type = 'vending.health.heartbeat') as heartbeats,
        count(*) filter (event_type = 'vending.health.boot') as boots,
        count(*) filter (event_type = 'vending.health.status') as statuses,
        count(*) filter (working_status = 'out_of_order') as statuses_out_of_order,
        count(*) filter (in_maintenance) as events_in_maintenance,
        count(*) filter (power = 'battery') as events_on_battery,
        count(*) filter (door_open) as events_door_open,
        mean3(temperature_c) as temperature_avg_c,
        max(temperature_c) as temperature_max_c,
        mean3(refrigeration_temperature_c) as refrigeration_avg_c,
        min(refrigeration_temperature_c) as refrigeration_min_c,
        max(refrigeration_temperature_c) as refrigeration_max_c,
        min(voltage_v) as voltage_min_v,
        max(voltage_v) as voltage_max_v,
        mean3(cpu_pct) as cpu_avg_pct,
        max(cpu_pct) as cpu_max_pct,
        max(memory_pct) as memory_max_pct,
        max(disk_pct) as disk_max_pct,
        max(motors_faulty_count) as motors_faulty_max,
        count(*) filter (is_late) as events_late,
        pct(count(*) filter (not is_late), count(*)) as in_time_pct
    from {{ ref('stg_vending_health') }}
    group by hour_start, machine_id
)

select
    hours.*,
    day_key(hours.hour_start) as date_key,
    machine.machine_key,
    machine.site_id,
    (3600 // machine.heartbeat_interval_s)::bigint as heartbeats_expected
from hours
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = hours.machine_id and {{ held('machine', 'hours.hour_start') }}
