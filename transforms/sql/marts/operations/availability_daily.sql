{{ config(unique_key=['service_date', 'machine_id', 'machine_key']) }}

-- Per machine and UTC day: how long it should have been able to sell, and how long it could. It
-- should while the reference says active, from the first event of the fleet to the last: no clock
-- is read, and the last day grows. Planned outages are taken off both. Where the reference changes
-- during the day, what was before and after are two rows. Machines that the reference does not know
-- are not counted.
with observed as (
    -- Of the raw rows: what was sent twice changes neither.
    select min(event_time) as from_at, max(event_time) as until_at
    from {{ source('raw', 'vending_health') }}
),

days as (
    select
        unnest(generate_series(
            date_trunc('day', from_at), date_trunc('day', until_at), interval '1 day'
        )) as day_at,
        from_at,
        until_at
    from observed
),

service as (
    select
        days.day_at,
        machine.machine_id,
        machine.machine_key,
        machine.site_id,
        machine.availability_target_pct,
        greatest(machine.valid_from, days.day_at, days.from_at) as from_at,
        least(
            coalesce(machine.valid_to, days.until_at),
            days.day_at + interval '1 day',
            days.until_at
        ) as until_at
    from {{ ref('dim_machine') }} as machine
    cross join days
    where machine.machine_status = 'active'
),

overlapping as (
    select
        service.day_at,
        service.machine_id,
        service.machine_key,
        service.site_id,
        service.availability_target_pct,
        service.from_at,
        service.until_at,
        outage.is_planned,
        -- Whole microseconds: sums of them do not depend on their order.
        cast(least(outage.until_at, service.until_at) as bigint)
        - cast(greatest(outage.started_at, service.from_at) as bigint) as down_us
    from service
    left join {{ ref('fct_downtime') }} as outage
        on outage.machine_id = service.machine_id
        and outage.started_at < service.until_at
        and outage.until_at > service.from_at
    where service.until_at > service.from_at
),

summed as (
    select
        day_at,
        machine_id,
        machine_key,
        site_id,
        availability_target_pct,
        from_at,
        cast(until_at as bigint) - cast(from_at as bigint) as whole_us,
        sum(case when is_planned then down_us else 0 end) as planned_us,
        sum(case when not is_planned then down_us else 0 end) as down_us,
        sum(case when not is_planned then 1 else 0 end) as outages
    from overlapping
    group by
        day_at, machine_id, machine_key, site_id, availability_target_pct, from_at, until_at
)

select
    cast(summed.day_at as date) as service_date,
    cast(to_char(summed.day_at, '%Y%m%d') as int) as date_key,
    summed.machine_id,
    summed.machine_key,
    summed.site_id,
    site.site_key,
    site.region,
    (summed.whole_us - summed.planned_us) / 1000000.0 as service_s,
    summed.down_us / 1000000.0 as downtime_s,
    summed.planned_us / 1000000.0 as planned_s,
    summed.outages,
    case
        when summed.whole_us > summed.planned_us
            then 100.0 * (summed.whole_us - summed.planned_us - summed.down_us)
                / (summed.whole_us - summed.planned_us)
    end as availability_pct,
    coalesce(summed.availability_target_pct, site.availability_target_pct)
        as availability_target_pct
from summed
left join {{ ref('dim_site') }} as site
    on site.site_id = summed.site_id
    and site.valid_from <= summed.from_at
    and (site.valid_to is null or site.valid_to > summed.from_at)
