{{ config(unique_key=['demand_date', 'machine_id', 'selection', 'product_id']) }}

-- How many of a selection's product were sold each day, days without a sale included, and how many
-- are to be expected: means over the seven days before, and over the same weekday of the four weeks
-- before. A day has the product that the planogram names at its end. Longer history: the 28 days
-- before.
with observed as (
    select
        date_trunc('day', min(event_time)) as first_day,
        date_trunc('day', max(event_time)) as last_day
    from {{ source('raw', 'vending_sales') }}
),

days as (
    select unnest(generate_series(first_day, last_day, interval '1 day')) as day_at
    from observed
),

slots as (
    select days.day_at, planogram.machine_id, planogram.selection, planogram.product_id
    from days
    cross join {{ source('ref', 'planogram_history') }} as planogram
    where planogram.valid_from < days.day_at + interval '1 day'
        and (planogram.valid_to is null or planogram.valid_to >= days.day_at + interval '1 day')
),

sold as (
    select
        event_day,
        machine_id,
        selection,
        product_id,
        count(*) as units_sold,
        sum(case when is_late then 1 else 0 end) as units_late
    from {{ ref('fct_vends') }}
    where is_sold
    group by event_day, machine_id, selection, product_id
),

counted as (
    select
        slots.day_at,
        slots.machine_id,
        slots.selection,
        slots.product_id,
        to_char(slots.day_at, '%u') as day_of_week,
        coalesce(sold.units_sold, 0) as units_sold,
        coalesce(sold.units_late, 0) as units_late
    from slots
    left join sold
        on sold.event_day = slots.day_at
        and sold.machine_id = slots.machine_id
        and sold.selection = slots.selection
        and sold.product_id = slots.product_id
)

select
    cast(day_at as date) as demand_date,
    cast(to_char(day_at, '%Y%m%d') as int) as date_key,
    machine_id,
    selection,
    product_id,
    cast(day_of_week as int) as day_of_week,
    units_sold,
    cast(avg(cast(units_sold as decimal(9, 3))) over (
        partition by machine_id, selection, product_id order by day_at
        range between interval '7 days' preceding and interval '1 day' preceding
    ) as decimal(9, 3)) as units_7d_avg,
    cast(avg(cast(units_sold as decimal(9, 3))) over (
        partition by machine_id, selection, product_id, day_of_week order by day_at
        range between interval '28 days' preceding and interval '1 day' preceding
    ) as decimal(9, 3)) as units_weekday_avg,
    units_late,
    case when units_sold > 0 then 100.0 * (units_sold - units_late) / units_sold end as in_time_pct
from counted
