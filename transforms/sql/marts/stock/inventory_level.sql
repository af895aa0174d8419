{{ config(unique_key=['machine_id', 'selection']) }}

-- What is in each selection now: its last report, less what was delivered since then, of which the
-- machine has not told yet. The planogram as it was at the report fills what the report leaves out.
-- A table of the current state: it needs its own last row and what is new.
with reports as (
    select
        machine_id,
        selection,
        product_id,
        event_time,
        event_type,
        stock_count,
        capacity,
        par_level,
        low_stock_level,
        is_empty,
        row_number() over (
            partition by machine_id, selection
            order by event_time desc, _source desc, _kafka_partition desc, _offset desc
        ) as number_from_last
    from {{ ref('stg_vending_inventory') }}
),

levels as (
    select
        report.machine_id,
        report.selection,
        report.product_id,
        report.event_time as reported_at,
        report.stock_count as reported_count,
        report.capacity,
        coalesce(report.par_level, planogram.par_level) as par_level,
        coalesce(report.low_stock_level, planogram.low_stock_level) as low_stock_level,
        report.is_empty,
        planogram.price,
        planogram.currency
    from reports as report
    left join {{ source('ref', 'planogram_history') }} as planogram
        on planogram.machine_id = report.machine_id
        and planogram.selection = report.selection
        and planogram.valid_from <= report.event_time
        and (planogram.valid_to is null or planogram.valid_to > report.event_time)
    where report.number_from_last = 1
),

counted as (
    select
        level.machine_id,
        level.selection,
        level.product_id,
        level.reported_at,
        level.reported_count,
        level.capacity,
        level.par_level,
        level.low_stock_level,
        level.is_empty,
        level.price,
        level.currency,
        count(vend.event_id) as vends_since
    from levels as level
    left join {{ ref('stg_vending_sales') }} as vend
        on vend.machine_id = level.machine_id
        and vend.selection = level.selection
        and vend.event_time > level.reported_at
        and vend.event_type = 'vending.sales.vend'
        and vend.vend_outcome = 'succeeded'
    group by
        level.machine_id, level.selection, level.product_id, level.reported_at,
        level.reported_count, level.capacity, level.par_level, level.low_stock_level,
        level.is_empty, level.price, level.currency
)

select
    counted.machine_id,
    machine.machine_key,
    machine.site_id,
    counted.selection,
    counted.product_id,
    counted.reported_at,
    counted.reported_count,
    counted.vends_since,
    greatest(counted.reported_count - counted.vends_since, 0) as stock_count,
    counted.capacity,
    counted.par_level,
    counted.low_stock_level,
    greatest(counted.reported_count - counted.vends_since, 0) <= counted.low_stock_level as is_low,
    counted.is_empty or counted.reported_count <= counted.vends_since as is_empty,
    greatest(
        counted.par_level - greatest(counted.reported_count - counted.vends_since, 0), 0
    ) as refill_count,
    counted.price,
    counted.currency
from counted
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = counted.machine_id
    and machine.is_current
