select
    event_time::date as revenue_date,
    date_key,
    machine_key,
    machine_id,
    site_key,
    site_id,
    region,
    product_key,
    product_id,
    payment_method,
    currency,
    count(*) as vends,
    count(*) filter (is_delivered) as vends_delivered,
    count(*) filter (is_sold) as vends_sold,
    coalesce(sum(price) filter (is_sold), 0)::decimal(18, 4) as revenue,
    (sum(unit_cost) filter (is_sold))::decimal(18, 4) as cost,
    count(*) filter (is_late) as vends_late,
    pct(count(*) filter (not is_late), count(*)) as in_time_pct
from {{ ref('fct_vends') }}
group by all
