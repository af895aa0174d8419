-- Mean and standard deviation of the hourly means, in thousandths of degrees, of the hours of the
-- seven days before that are known.
with hours as (
    select *, (refrigeration_avg_c * 1000)::hugeint as thousandths
    from {{ ref('machine_health_hourly') }}
    where refrigeration_avg_c is not null
),

baselines as (
    select
        one.machine_id,
        one.hour_start,
        count(other.hour_start) as n,
        coalesce(sum(other.thousandths), 0) as total,
        coalesce(sum(other.thousandths * other.thousandths), 0) as squares
    from hours as one
    left join hours as other
        on other.machine_id = one.machine_id
        and other.hour_start < one.hour_start
        and other.hour_start >= one.hour_start - interval 7 days
    group by all
)

select
    hour.hour_start,
    hour.date_key,
    hour.machine_id,
    hour.machine_key,
    hour.site_id,
    hour.refrigeration_avg_c,
    hour.refrigeration_max_c,
    n as baseline_hours,
    if(n > 0, total / (1e3 * n), null) as baseline_c,
    if(n > 1, sqrt((n * squares - total * total)::double / (n * (n - 1))) / 1e3, null)
        as deviation_c,
    hour.thousandths / 1e3 - baseline_c as from_baseline_c,
    if(n >= 24, from_baseline_c / greatest(deviation_c, 0.1::double), null) as z_score,
    machine.temperature_target_c,
    machine.temperature_max_c,
    hour.refrigeration_max_c > machine.temperature_max_c as is_above_limit,
    hour.in_time_pct
from hours as hour
join baselines using (machine_id, hour_start)
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = hour.machine_id and {{ held('machine', 'hour.hour_start') }}
