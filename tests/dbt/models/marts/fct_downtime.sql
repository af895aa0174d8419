-- What makes a machine unable to sell, as intervals, and then those together that touch: an outage
-- begins where an interval begins that no other holds or touches from before, and ends with the
-- last that begins before the next.
with reports as (
    select
        *,
        row_number() over (
            partition by machine_id order by event_time, _source, _kafka_partition, _offset
        ) as number,
        (select max(event_time) from {{ ref('stg_vending_health') }}) as fleet_until
    from {{ ref('stg_vending_health') }}
),

silences as (
    select
        report.machine_id,
        report.event_time as started_at,
        following.event_time as ended_at,
        report.fleet_until,
        report.in_maintenance,
        true as is_silent
    from reports as report
    left join reports as following
        on following.machine_id = report.machine_id and following.number = report.number + 1
    left join {{ ref('dim_machine') }} as machine
        on machine.machine_id = report.machine_id and {{ held('machine', 'report.event_time') }}
    where epoch_us(ifnull(following.event_time, report.fleet_until)) - epoch_us(report.event_time)
        > 3 * 1000000 * ifnull(machine.heartbeat_interval_s, 60)
),

statuses as (
    select
        *,
        row_number() over (partition by machine_id order by number) as status_number
    from reports
    where working_status is not null
),

refusals as (
    select
        status.machine_id,
        status.event_time as started_at,
        following.event_time as ended_at,
        status.fleet_until,
        status.in_maintenance,
        false as is_silent
    from statuses as status
    left join statuses as following
        on following.machine_id = status.machine_id
        and following.status_number = status.status_number + 1
    where status.working_status = 'out_of_order'
        and ifnull(following.event_time, status.fleet_until) > status.event_time
),

intervals as (
    select *, ifnull(ended_at, fleet_until) as until_at
    from (from silences union all from refusals)
),

beginnings as (
    select distinct machine_id, started_at
    from intervals as one
    where not exists (
        select 1
        from intervals as other
        where other.machine_id = one.machine_id
            and other.started_at < one.started_at
            and other.until_at >= one.started_at
    )
),

outages as (
    select
        beginning.machine_id,
        beginning.started_at,
        max(part.until_at) as until_at,
        bool_or(part.ended_at is null) as is_open,
        bool_or(part.is_silent) as is_silent,
        bool_or(not part.is_silent) as is_out_of_order,
        bool_and(part.in_maintenance) as is_planned
    from intervals as part
    asof join beginnings as beginning
        on beginning.machine_id = part.machine_id and beginning.started_at <= part.started_at
    group by all
)

select
    outage.*,
    machine.machine_key,
    machine.site_id,
    site.site_key,
    site.region,
    if(outage.is_open, null, outage.until_at) as ended_at,
    day_key(outage.started_at) as date_key,
    seconds(outage.started_at, outage.until_at) as duration_s
from outages as outage
{{ place('outage.machine_id', 'outage.started_at') }}
