-- Of each day of the fleet and each interval in which the reference calls a machine active: the
-- common part is service, and what of it lies in outages is not.
with fleet as (
    select min(event_time) as since, max(event_time) as until
    from {{ source('raw', 'vending_health') }}
    where _error is null
),

days as (
    select unnest(range(
        since::date::timestamp, until::date::timestamp + interval 1 day, interval 1 day
    ))::timestamptz as day_at
    from fleet
),

service as (
    select
        machine.machine_id,
        machine.machine_key,
        machine.site_id,
        machine.availability_target_pct,
        days.day_at,
        greatest(machine.valid_from, fleet.since, days.day_at) as since,
        least(
            ifnull(machine.valid_to, 'infinity'), fleet.until, days.day_at + interval 1 day
        ) as until
    from {{ ref('dim_machine') }} as machine, days, fleet
    where machine.machine_status = 'active'
),

parts as (
    select
        service.*,
        outage.is_planned,
        epoch_us(least(service.until, outage.until_at))
        - epoch_us(greatest(service.since, outage.started_at)) as lost
    from service
    left join {{ ref('fct_downtime') }} as outage
        on outage.machine_id = service.machine_id
        and outage.started_at < service.until
        and service.since < outage.until_at
    where service.since < service.until
),

sums as (
    select
        machine_id,
        machine_key,
        site_id,
        availability_target_pct,
        day_at,
        since,
        epoch_us(until) - epoch_us(since) as whole,
        coalesce(sum(lost) filter (is_planned), 0) as planned,
        coalesce(sum(lost) filter (not is_planned), 0) as down,
        count(*) filter (not is_planned) as outages
    from parts
    group by all
)

select
    sums.day_at::date as service_date,
    day_key(sums.day_at) as date_key,
    sums.machine_id,
    sums.machine_key,
    sums.site_id,
    site.site_key,
    site.region,
    (sums.whole - sums.planned) / 1e6 as service_s,
    sums.down / 1e6 as downtime_s,
    sums.planned / 1e6 as planned_s,
    sums.outages,
    pct(sums.whole - sums.planned - sums.down, sums.whole - sums.planned) as availability_pct,
    ifnull(sums.availability_target_pct, site.availability_target_pct) as availability_target_pct
from sums
left join {{ ref('dim_site') }} as site
    on site.site_id = sums.site_id and {{ held('site', 'sums.since') }}
