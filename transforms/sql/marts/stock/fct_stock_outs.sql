{{ config(unique_key=['machine_id', 'selection', 'started_at']) }}

-- When nothing could be sold from a selection: from the report that it is empty to the next that it
-- is not. What still lasts has no end, and is counted up to the last report of the fleet. Longer
-- history: a stock-out belongs to the day on which it begins, and needs the report before that day
-- and all until it ends.
with reports as (
    select
        machine_id,
        selection,
        product_id,
        event_time,
        event_type,
        is_empty,
        _source,
        _kafka_partition,
        _offset,
        lag(is_empty) over (
            partition by machine_id, selection order by event_time, _source, _kafka_partition, _offset
        ) as was_empty
    from {{ ref('stg_vending_inventory') }}
),

observed as (
    select max(event_time) as observed_until from {{ ref('stg_vending_inventory') }}
),

changes as (
    select
        machine_id,
        selection,
        product_id,
        event_time as started_at,
        is_empty,
        lead(event_time) over following as ended_at,
        lead(event_type) over following as ended_by
    from reports
    where was_empty is null or is_empty <> was_empty
    window following as (
        partition by machine_id, selection order by event_time, _source, _kafka_partition, _offset
    )
)

select
    change.machine_id,
    machine.machine_key,
    machine.site_id,
    site.region,
    change.selection,
    change.product_id,
    change.started_at,
    change.ended_at,
    coalesce(change.ended_at, observed.observed_until) as until_at,
    cast(to_char(change.started_at, '%Y%m%d') as int) as date_key,
    (
        cast(coalesce(change.ended_at, observed.observed_until) as bigint)
        - cast(change.started_at as bigint)
    ) / 1000000.0 as duration_s,
    change.ended_at is null as is_open,
    coalesce(change.ended_by = 'vending.inventory.refill', false) as is_ended_by_refill
from changes as change
cross join observed
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = change.machine_id
    and machine.valid_from <= change.started_at
    and (machine.valid_to is null or machine.valid_to > change.started_at)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= change.started_at
    and (site.valid_to is null or site.valid_to > change.started_at)
where change.is_empty
