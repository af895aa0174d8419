{{ config(unique_key=['machine_id', 'hour_start']) }}

-- How far the refrigerated compartment is from what is usual for this machine: its own mean and
-- deviation over the seven days before, this hour not included. For rules that look for anomalies
-- rather than limits. Sums are of thousandths of degrees in whole numbers, so that their order does
-- not matter. Longer history: the seven days before.
with hours as (
    select
        hour_start,
        date_key,
        machine_id,
        machine_key,
        site_id,
        refrigeration_avg_c,
        refrigeration_max_c,
        in_time_pct,
        cast(refrigeration_avg_c * cast(1000 as decimal(4, 0)) as bigint) as mdeg
    from {{ ref('machine_health_hourly') }}
    where refrigeration_avg_c is not null
),

sums as (
    select
        hour_start,
        date_key,
        machine_id,
        machine_key,
        site_id,
        refrigeration_avg_c,
        refrigeration_max_c,
        in_time_pct,
        mdeg,
        count(*) over before as n,
        sum(mdeg) over before as s,
        sum(mdeg * mdeg) over before as ss
    from hours
    window before as (
        partition by machine_id order by hour_start
        range between interval '7 days' preceding and interval '1 hour' preceding
    )
),

baselines as (
    select
        hour_start,
        date_key,
        machine_id,
        machine_key,
        site_id,
        refrigeration_avg_c,
        refrigeration_max_c,
        in_time_pct,
        mdeg,
        n,
        case when n > 0 then s / (1000.0 * n) end as baseline_c,
        case when n > 1 then sqrt((n * ss - s * s) / (1.0 * n * (n - 1))) / 1000.0 end
            as deviation_c
    from sums
)

select
    baselines.hour_start,
    baselines.date_key,
    baselines.machine_id,
    baselines.machine_key,
    baselines.site_id,
    baselines.refrigeration_avg_c,
    baselines.refrigeration_max_c,
    baselines.n as baseline_hours,
    baselines.baseline_c,
    baselines.deviation_c,
    baselines.mdeg / 1000.0 - baselines.baseline_c as from_baseline_c,
    -- A compartment that never moved has no deviation to divide by: a tenth of a degree stands for
    -- it.
    case
        when baselines.n >= 24
            then (baselines.mdeg / 1000.0 - baselines.baseline_c)
                / greatest(baselines.deviation_c, 0.1)
    end as z_score,
    machine.temperature_target_c,
    machine.temperature_max_c,
    baselines.refrigeration_max_c > machine.temperature_max_c as is_above_limit,
    baselines.in_time_pct
from baselines
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = baselines.machine_id
    and machine.valid_from <= baselines.hour_start
    and (machine.valid_to is null or machine.valid_to > baselines.hour_start)
