with levels as (
    select *
    from {{ ref('stg_vending_inventory') }}
    qualify row_number() over (
        partition by machine_id, selection
        order by event_time desc, _source desc, _kafka_partition desc, _offset desc
    ) = 1
),

vends as (
    select machine_id, selection, event_time
    from {{ ref('stg_vending_sales') }}
    where event_type = 'vending.sales.vend' and vend_outcome = 'succeeded'
),

counted as (
    select
        level.machine_id,
        level.selection,
        level.product_id,
        level.event_time as reported_at,
        level.stock_count as reported_count,
        level.sold_out,
        level.capacity,
        ifnull(level.par_level, planogram.par_level) as par_level,
        ifnull(level.low_stock_level, planogram.low_stock_level) as low_stock_level,
        planogram.price,
        planogram.currency,
        (
            select count(*)
            from vends as vend
            where vend.machine_id = level.machine_id
                and vend.selection = level.selection
                and vend.event_time > level.event_time
        ) as vends_since
    from levels as level
    left join {{ history('planogram', ['machine_id', 'selection']) }} as planogram
        on planogram.machine_id = level.machine_id
        and planogram.selection = level.selection
        and {{ held('planogram', 'level.event_time') }}
)

select
    counted.* exclude (sold_out),
    machine.machine_key,
    machine.site_id,
    if(reported_count > vends_since, reported_count - vends_since, 0) as stock_count,
    stock_count <= low_stock_level as is_low,
    stock_count = 0 or ifnull(sold_out, false) as is_empty,
    if(par_level < stock_count, 0, par_level - stock_count) as refill_count
from counted
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = counted.machine_id and machine.is_current
