-- Voids and refunds take off what they name, on the day on which they are made.
with lines as (
    select *, if(event_type = 'store.sales.sale', 1, -1) as sign from {{ ref('stg_store_sales') }}
)

select
    line.event_time::date as sales_date,
    day_key(line.event_time) as date_key,
    line.store_id,
    site.site_key,
    site.region,
    line.product_id,
    product.product_key,
    line.payment_method,
    upper(line.currency) as currency,
    count(distinct line.receipt_id) as receipts,
    count(*) as lines,
    count(*) filter (line.event_type = 'store.sales.void') as lines_void,
    count(*) filter (line.event_type = 'store.sales.refund') as lines_refunded,
    sum(line.sign * line.quantity)::decimal(18, 4) as quantity,
    sum(line.sign * line.amount)::decimal(18, 4) as revenue,
    coalesce(sum(line.amount) filter (line.event_type = 'store.sales.refund'), 0)::decimal(18, 4)
        as refunded_amount,
    coalesce(sum(line.discount_amount) filter (line.event_type = 'store.sales.sale'), 0)
        ::decimal(18, 4) as discount_amount,
    count(*) filter (line.is_late) as lines_late,
    pct(count(*) filter (not line.is_late), count(*)) as in_time_pct
from lines as line
left join {{ ref('dim_site') }} as site
    on site.site_id = line.store_id and {{ held('site', 'line.event_time') }}
left join {{ ref('dim_product') }} as product
    on product.product_id = line.product_id and {{ held('product', 'line.event_time') }}
group by all
