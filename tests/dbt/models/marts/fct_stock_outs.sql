-- A run of reports that a selection is empty: they have as many reports before them that say
-- otherwise.
with reports as (
    select
        *,
        stock_count = 0 or ifnull(sold_out, false) as is_empty,
        (_source, _kafka_partition, _offset) as record
    from {{ ref('stg_vending_inventory') }}
),

counted as (
    select
        *,
        count(*) filter (not is_empty) over (
            partition by machine_id, selection order by event_time, record
        ) as filled
    from reports
),

runs as (
    select
        machine_id,
        selection,
        filled,
        min(event_time) as started_at,
        arg_min(product_id, (event_time, record)) as product_id
    from counted
    where is_empty
    group by all
)

select
    run.machine_id,
    machine.machine_key,
    machine.site_id,
    site.region,
    run.selection,
    run.product_id,
    run.started_at,
    ending.event_time as ended_at,
    ifnull(ending.event_time, fleet.until) as until_at,
    day_key(run.started_at) as date_key,
    seconds(run.started_at, until_at) as duration_s,
    ending.event_time is null as is_open,
    ifnull(ending.event_type = 'vending.inventory.refill', false) as is_ended_by_refill
from runs as run
cross join (select max(event_time) as until from reports) as fleet
left join counted as ending
    on ending.machine_id = run.machine_id
    and ending.selection = run.selection
    and ending.filled = run.filled + 1
    and not ending.is_empty
{{ place('run.machine_id', 'run.started_at') }}
