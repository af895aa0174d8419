with days as (
    select
        event_time::date as revenue_date,
        date_key,
        region,
        currency,
        count(distinct machine_id) filter (is_sold) as machines_selling,
        count(*) filter (is_sold) as vends_sold,
        coalesce(sum(price) filter (is_sold), 0)::decimal(18, 4) as revenue,
        count(*) filter (is_late) as vends_late,
        pct(count(*) filter (not is_late), count(*)) as in_time_pct
    from {{ ref('fct_vends') }}
    group by all
)

select
    *,
    (sum(revenue) over week_before)::decimal(18, 4) as revenue_7d_before,
    count(*) over week_before as days_7d_before
from days
window week_before as (
    partition by region, currency order by revenue_date
    range between interval 7 days preceding and interval 1 day preceding
)
