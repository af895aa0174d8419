with days as (
    select unnest(range(
        min(event_time)::date::timestamp,
        max(event_time)::date::timestamp + interval 1 day,
        interval 1 day
    ))::date as demand_date
    from {{ source('raw', 'vending_sales') }}
    where _error is null
),

slots as (
    select days.demand_date, planogram.machine_id, planogram.selection, planogram.product_id
    from days
    join {{ history('planogram', ['machine_id', 'selection']) }} as planogram
        -- What held in the last microsecond of the day.
        on {{ held('planogram', "(days.demand_date + 1)::timestamptz - interval 1 microsecond") }}
),

sold as (
    select
        event_time::date as demand_date,
        machine_id,
        selection,
        product_id,
        count(*) as units,
        count(*) filter (is_late) as late
    from {{ ref('fct_vends') }}
    where is_sold
    group by all
),

counted as (
    select
        slots.*,
        ifnull(sold.units, 0) as units_sold,
        ifnull(sold.late, 0) as units_late,
        isodow(demand_date)::int as day_of_week
    from slots
    left join sold using (demand_date, machine_id, selection, product_id)
)

select
    *,
    day_key(demand_date) as date_key,
    ratio3(sum(units_sold) over week, nullif(count(*) over week, 0)) as units_7d_avg,
    ratio3(sum(units_sold) over weekdays, nullif(count(*) over weekdays, 0)) as units_weekday_avg,
    pct(units_sold - units_late, units_sold) as in_time_pct
from counted
window
    week as (
        partition by machine_id, selection, product_id order by demand_date
        range between interval 7 days preceding and interval 1 day preceding
    ),
    weekdays as (
        partition by machine_id, selection, product_id, day_of_week order by demand_date
        range between interval 28 days preceding and interval 1 day preceding
    )
