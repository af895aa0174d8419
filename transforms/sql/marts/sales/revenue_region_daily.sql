{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='revenue_date', batch_size='day', lookback=7,
    unique_key=['revenue_date', 'region', 'currency']
) }}

-- Revenue per day, region and currency, and how it compares with the seven days before: a rule
-- looks for regions that sell far less than they did. Longer history: the seven days before.
with days as (
    select
        revenue_date,
        date_key,
        region,
        currency,
        count(distinct case when vends_sold > 0 then machine_id end) as machines_selling,
        cast(sum(vends) as bigint) as vends,
        cast(sum(vends_sold) as bigint) as vends_sold,
        cast(sum(vends_late) as bigint) as vends_late,
        cast(sum(revenue) as decimal(18, 4)) as revenue
    from {{ ref('revenue_daily') }}
    group by revenue_date, date_key, region, currency
)

select
    today.revenue_date,
    today.date_key,
    today.region,
    today.currency,
    today.machines_selling,
    today.vends_sold,
    today.revenue,
    cast(sum(earlier.revenue) as decimal(18, 4)) as revenue_7d_before,
    count(earlier.revenue_date) as days_7d_before,
    today.vends_late,
    100.0 * (today.vends - today.vends_late) / today.vends as in_time_pct
from days as today
left join days as earlier
    on (earlier.region is not distinct from today.region)
    and earlier.currency = today.currency
    and earlier.revenue_date between today.revenue_date - interval '7 days'
        and today.revenue_date - interval '1 day'
group by
    today.revenue_date, today.date_key, today.region, today.currency, today.machines_selling,
    today.vends, today.vends_sold, today.vends_late, today.revenue
