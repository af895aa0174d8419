{{ config(unique_key=['service_month', 'region']) }}

-- Availability per month and region against what was agreed (SLA): times are summed, never averages
-- averaged. The month grows until its last day is over.
with months as (
    select
        to_char(service_date, '%Y-%m') as service_month,
        region,
        count(distinct machine_id) as machines,
        count(distinct service_date) as days,
        cast(sum(cast(service_s as decimal(18, 6))) as decimal(18, 6)) as service_s,
        cast(sum(cast(downtime_s as decimal(18, 6))) as decimal(18, 6)) as downtime_s,
        cast(sum(outages) as bigint) as outages,
        max(availability_target_pct) as availability_target_pct
    from {{ ref('availability_daily') }}
    group by to_char(service_date, '%Y-%m'), region
)

select
    service_month,
    region,
    machines,
    days,
    service_s,
    downtime_s,
    outages,
    -- Where all was planned there was no service, and no share of it.
    cast(
        cast(100 as decimal(18, 6)) * (service_s - downtime_s)
        / nullif(service_s, cast(0 as decimal(18, 6))) as decimal(9, 4)
    ) as availability_pct,
    availability_target_pct
from months
