{{ config(unique_key=['machine_id', 'selection', 'started_at']) }}

-- What a stock-out cost, as an estimate: its length times what the selection sells on a day, by the
-- mean of the seven days before the day on which it began, times the price in the planogram then.
-- Without a day before there is no estimate. Sales that went to the selection beside it are not
-- taken off.
with sized as (
    select
        gap.machine_id,
        gap.machine_key,
        gap.site_id,
        gap.region,
        gap.selection,
        gap.product_id,
        gap.started_at,
        gap.until_at,
        gap.date_key,
        gap.is_open,
        cast(gap.duration_s as decimal(12, 3)) as duration_s,
        demand.units_7d_avg,
        planogram.price,
        planogram.currency
    from {{ ref('fct_stock_outs') }} as gap
    left join {{ ref('demand_daily') }} as demand
        on demand.date_key = gap.date_key
        and demand.machine_id = gap.machine_id
        and demand.selection = gap.selection
        and demand.product_id = gap.product_id
    left join {{ source('ref', 'planogram_history') }} as planogram
        on planogram.machine_id = gap.machine_id
        and planogram.selection = gap.selection
        and planogram.valid_from <= gap.started_at
        and (planogram.valid_to is null or planogram.valid_to > gap.started_at)
),

estimated as (
    select
        machine_id,
        machine_key,
        site_id,
        region,
        selection,
        product_id,
        started_at,
        until_at,
        date_key,
        is_open,
        duration_s,
        units_7d_avg,
        price,
        currency,
        cast(
            units_7d_avg * duration_s / cast(86400 as decimal(6, 1)) as decimal(18, 4)
        ) as lost_units
    from sized
)

select
    machine_id,
    machine_key,
    site_id,
    region,
    selection,
    product_id,
    started_at,
    until_at,
    date_key,
    is_open,
    duration_s,
    units_7d_avg,
    price,
    currency,
    lost_units,
    cast(lost_units * price as decimal(18, 4)) as lost_revenue
from estimated
