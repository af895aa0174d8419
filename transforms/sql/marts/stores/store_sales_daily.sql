{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='sales_date', batch_size='day',
    unique_key=['sales_date', 'store_id', 'product_id', 'payment_method', 'currency']
) }}

-- What stores sold per day, product and method of payment. Voids and refunds are taken off on the
-- day on which they are made; a void has no method, and stands in a row without one. A receipt can
-- have many lines: receipts are counted per row and must not be summed over products.
select
    cast(line.event_day as date) as sales_date,
    cast(to_char(line.event_day, '%Y%m%d') as int) as date_key,
    line.store_id,
    site.site_key,
    site.region,
    line.product_id,
    product.product_key,
    line.payment_method,
    line.currency,
    count(distinct line.receipt_id) as receipts,
    count(*) as lines,
    sum(case when line.event_type = 'store.sales.void' then 1 else 0 end) as lines_void,
    sum(case when line.event_type = 'store.sales.refund' then 1 else 0 end) as lines_refunded,
    cast(sum(line.signed_quantity) as decimal(18, 4)) as quantity,
    cast(sum(line.signed_amount) as decimal(18, 4)) as revenue,
    cast(sum(
        case when line.event_type = 'store.sales.refund' then line.amount
            else cast(0 as decimal(18, 4)) end
    ) as decimal(18, 4)) as refunded_amount,
    cast(sum(
        case when line.event_type = 'store.sales.sale'
            then coalesce(line.discount_amount, cast(0 as decimal(18, 4)))
            else cast(0 as decimal(18, 4)) end
    ) as decimal(18, 4)) as discount_amount,
    sum(case when line.is_late then 1 else 0 end) as lines_late,
    100.0 * sum(case when line.is_late then 0 else 1 end) / count(*) as in_time_pct
from {{ ref('stg_store_sales') }} as line
left join {{ ref('dim_site') }} as site
    on site.site_id = line.store_id
    and site.valid_from <= line.event_time
    and (site.valid_to is null or site.valid_to > line.event_time)
left join {{ ref('dim_product') }} as product
    on product.product_id = line.product_id
    and product.valid_from <= line.event_time
    and (product.valid_to is null or product.valid_to > line.event_time)
group by
    line.event_day, line.store_id, site.site_key, site.region, line.product_id, product.product_key,
    line.payment_method, line.currency
