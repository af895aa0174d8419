{{ config(unique_key=['machine_id', 'started_at']) }}

-- When a machine could not sell: one row per outage. It is down while its last status is
-- out_of_order, and while it is silent for more than three heartbeats, by event time: what a dead
-- modem holds back arrives late and closes the gap. Outages that touch are one. What still lasts at
-- the last event of the fleet has no end yet. Longer history: an outage belongs to the day on which
-- it begins and needs the status before that day and everything until it ends.
with reports as (
    select
        machine_id,
        event_time,
        in_maintenance,
        working_status,
        lead(event_time) over following as next_at,
        lead(case when working_status is not null then event_time end) ignore nulls
            over following as next_status_at
    from {{ ref('stg_vending_health') }}
    window following as (
        partition by machine_id order by event_time, _source, _kafka_partition, _offset
    )
),

observed as (
    select max(event_time) as observed_until from {{ ref('stg_vending_health') }}
),

candidates as (
    select
        report.machine_id,
        report.event_time as started_at,
        case kinds.kind when 'silent' then report.next_at else report.next_status_at end
            as ended_at,
        coalesce(
            case kinds.kind when 'silent' then report.next_at else report.next_status_at end,
            observed.observed_until
        ) as until_at,
        report.in_maintenance,
        report.working_status,
        coalesce(machine.heartbeat_interval_s, 60) as heartbeat_interval_s,
        kinds.kind
    from reports as report
    cross join observed
    cross join (values ('silent'), ('out_of_order')) as kinds (kind)
    left join {{ ref('dim_machine') }} as machine
        on machine.machine_id = report.machine_id
        and machine.valid_from <= report.event_time
        and (machine.valid_to is null or machine.valid_to > report.event_time)
),

intervals as (
    select
        machine_id,
        started_at,
        ended_at,
        until_at,
        in_maintenance,
        case kind when 'silent' then 1 else 0 end as is_silent,
        case kind when 'silent' then 0 else 1 end as is_out_of_order
    from candidates
    where kind = 'silent'
        and cast(until_at as bigint) - cast(started_at as bigint)
            > 3000000 * cast(heartbeat_interval_s as bigint)
        or kind = 'out_of_order' and working_status = 'out_of_order' and until_at > started_at
),

begun as (
    select
        machine_id,
        started_at,
        ended_at,
        until_at,
        in_maintenance,
        is_silent,
        is_out_of_order,
        coalesce(
            started_at > max(until_at) over (
                partition by machine_id order by started_at, until_at
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as begins
    from intervals
),

numbered as (
    select
        machine_id,
        started_at,
        ended_at,
        until_at,
        in_maintenance,
        is_silent,
        is_out_of_order,
        sum(case when begins then 1 else 0 end) over (
            partition by machine_id order by started_at, until_at
            rows between unbounded preceding and current row
        ) as outage
    from begun
),

outages as (
    select
        machine_id,
        min(started_at) as started_at,
        max(until_at) as until_at,
        sum(case when ended_at is null then 1 else 0 end) > 0 as is_open,
        max(is_silent) = 1 as is_silent,
        max(is_out_of_order) = 1 as is_out_of_order,
        -- Somebody was at work from its first moment to its last.
        min(case when in_maintenance then 1 else 0 end) = 1 as is_planned
    from numbered
    group by machine_id, outage
)

select
    outage.machine_id,
    machine.machine_key,
    machine.site_id,
    site.site_key,
    site.region,
    outage.started_at,
    case when not outage.is_open then outage.until_at end as ended_at,
    outage.until_at,
    cast(to_char(outage.started_at, '%Y%m%d') as int) as date_key,
    (cast(outage.until_at as bigint) - cast(outage.started_at as bigint)) / 1000000.0 as duration_s,
    outage.is_open,
    outage.is_silent,
    outage.is_out_of_order,
    outage.is_planned
from outages as outage
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = outage.machine_id
    and machine.valid_from <= outage.started_at
    and (machine.valid_to is null or machine.valid_to > outage.started_at)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= outage.started_at
    and (site.valid_to is null or site.valid_to > outage.started_at)
