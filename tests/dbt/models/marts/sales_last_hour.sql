-- For every five minutes in which something was sold, the vends of the hour that ends with them.
with vends as (
    select * from {{ ref('fct_vends') }} where is_sold
),

windows as (
    select distinct
        region,
        currency,
        to_timestamp((epoch_us(event_time) // 300000000 + 1) * 300) as window_end
    from vends
)

select
    windows.window_end - interval 1 hour as window_start,
    windows.window_end,
    windows.region,
    windows.currency,
    count(*) as vends_sold,
    sum(vend.price)::decimal(18, 4) as revenue,
    count(*) filter (vend.is_late) as vends_late,
    pct(count(*) filter (not vend.is_late), count(*)) as in_time_pct
from windows
join vends as vend
    on vend.region is not distinct from windows.region
    and vend.currency = windows.currency
    and vend.event_time >= windows.window_end - interval 1 hour
    and vend.event_time < windows.window_end
group by all
