-- The revenue of a day by its rows is the sum of the prices in staging: no join of the way doubled
-- a vend or lost one.
with rows_of_mart as (
    select revenue_date, currency, cast(sum(revenue) as decimal(18, 4)) as revenue
    from {{ ref('revenue_daily') }}
    group by revenue_date, currency
),

vends as (
    select
        cast(event_day as date) as revenue_date,
        currency,
        cast(sum(
            case when vend_outcome = 'succeeded' and vend_mode = 'paid' then price
                else cast(0 as decimal(18, 4)) end
        ) as decimal(18, 4)) as revenue
    from {{ ref('stg_vending_sales') }}
    where event_type = 'vending.sales.vend'
    group by event_day, currency
)

select
    coalesce(rows_of_mart.revenue_date, vends.revenue_date) as revenue_date,
    coalesce(rows_of_mart.currency, vends.currency) as currency,
    rows_of_mart.revenue as by_mart,
    vends.revenue as by_staging
from rows_of_mart
full join vends
    on vends.revenue_date = rows_of_mart.revenue_date
    and vends.currency = rows_of_mart.currency
where rows_of_mart.revenue is distinct from vends.revenue
