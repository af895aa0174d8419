{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='hour_start', batch_size='hour',
    unique_key=['machine_id', 'hour_start']
) }}

-- What a machine said about itself, hour by hour: a tumbling window of event time, so that a late
-- report corrects the hour to which it belongs. Averages are of decimals, whose sums do not depend
-- on their order.
with hours as (
    select
        date_bin(interval '1 hour', event_time, timestamp '2020-01-01T00:00:00Z') as hour_start,
        machine_id,
        count(*) as events,
        sum(case when event_type = 'vending.health.heartbeat' then 1 else 0 end) as heartbeats,
        sum(case when event_type = 'vending.health.boot' then 1 else 0 end) as boots,
        sum(case when event_type = 'vending.health.status' then 1 else 0 end) as statuses,
        sum(case when working_status = 'out_of_order' then 1 else 0 end) as statuses_out_of_order,
        sum(case when in_maintenance then 1 else 0 end) as events_in_maintenance,
        sum(case when power = 'battery' then 1 else 0 end) as events_on_battery,
        sum(case when door_open then 1 else 0 end) as events_door_open,
        avg(cast(temperature_c as decimal(9, 3))) as temperature_avg_c,
        max(temperature_c) as temperature_max_c,
        avg(cast(refrigeration_temperature_c as decimal(9, 3))) as refrigeration_avg_c,
        min(refrigeration_temperature_c) as refrigeration_min_c,
        max(refrigeration_temperature_c) as refrigeration_max_c,
        min(voltage_v) as voltage_min_v,
        max(voltage_v) as voltage_max_v,
        avg(cast(cpu_pct as decimal(9, 3))) as cpu_avg_pct,
        max(cpu_pct) as cpu_max_pct,
        max(memory_pct) as memory_max_pct,
        max(disk_pct) as disk_max_pct,
        max(motors_faulty_count) as motors_faulty_max,
        sum(case when is_late then 1 else 0 end) as events_late
    from {{ ref('stg_vending_health') }}
    group by
        date_bin(interval '1 hour', event_time, timestamp '2020-01-01T00:00:00Z'), machine_id
)

select
    hours.hour_start,
    cast(to_char(hours.hour_start, '%Y%m%d') as int) as date_key,
    hours.machine_id,
    machine.machine_key,
    machine.site_id,
    hours.events,
    hours.heartbeats,
    3600 / machine.heartbeat_interval_s as heartbeats_expected,
    hours.boots,
    hours.statuses,
    hours.statuses_out_of_order,
    hours.events_in_maintenance,
    hours.events_on_battery,
    hours.events_door_open,
    cast(hours.temperature_avg_c as decimal(9, 3)) as temperature_avg_c,
    hours.temperature_max_c,
    cast(hours.refrigeration_avg_c as decimal(9, 3)) as refrigeration_avg_c,
    hours.refrigeration_min_c,
    hours.refrigeration_max_c,
    hours.voltage_min_v,
    hours.voltage_max_v,
    cast(hours.cpu_avg_pct as decimal(9, 3)) as cpu_avg_pct,
    hours.cpu_max_pct,
    hours.memory_max_pct,
    hours.disk_max_pct,
    hours.motors_faulty_max,
    hours.events_late,
    100.0 * (hours.events - hours.events_late) / hours.events as in_time_pct
from hours
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = hours.machine_id
    and machine.valid_from <= hours.hour_start
    and (machine.valid_to is null or machine.valid_to > hours.hour_start)
