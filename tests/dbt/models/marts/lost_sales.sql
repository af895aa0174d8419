-- units a day * seconds / 86400, to four digits, and that times the price, to four digits again.
with estimates as (
    select
        gap.* exclude (ended_at, duration_s, is_ended_by_refill),
        (epoch_us(gap.until_at) - epoch_us(gap.started_at)) as length,
        demand.units_7d_avg,
        planogram.price,
        planogram.currency
    from {{ ref('fct_stock_outs') }} as gap
    left join {{ ref('demand_daily') }} as demand
        on demand.demand_date = gap.started_at::date
        and demand.machine_id = gap.machine_id
        and demand.selection = gap.selection
        and demand.product_id = gap.product_id
    left join {{ history('planogram', ['machine_id', 'selection']) }} as planogram
        on planogram.machine_id = gap.machine_id
        and planogram.selection = gap.selection
        and {{ held('planogram', 'gap.started_at') }}
)

select
    * exclude (length),
    (rounded(length::hugeint, 1000::hugeint)::decimal(38, 0) * 0.001)::decimal(12, 3) as duration_s,
    ratio4(
        (units_7d_avg * 1000)::hugeint * rounded(length::hugeint, 1000::hugeint), 86400000000
    ) as lost_units,
    ratio4(tenthousandths(lost_units) * tenthousandths(price), 100000000) as lost_revenue
from estimates
