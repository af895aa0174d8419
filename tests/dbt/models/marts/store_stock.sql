with events as (
    select
        * replace (ifnull(location, 'shelf') as location),
        (event_time, _source, _kafka_partition, _offset) as moment
    from {{ ref('stg_store_inventory') }}
),

stock as (
    select
        store_id,
        product_id,
        location,
        max_by(
            {'quantity': stock_quantity, 'unit': unit, 'par': par_level, 'low': low_stock_level},
            moment
        ) as last,
        max(event_time) as changed_at,
        max(event_time) filter (event_type = 'store.inventory.counted') as last_counted_at,
        max(event_time) filter (event_type = 'store.inventory.delivery') as last_delivery_at,
        max(par_level) as greatest_par,
        max(low_stock_level) as greatest_low
    from events
    group by all
)

select
    stock.store_id,
    site.site_name,
    site.region,
    stock.product_id,
    product.product_name,
    stock.location,
    stock.last.quantity as stock_quantity,
    stock.last.unit as unit,
    stock.changed_at,
    stock.last_counted_at,
    stock.last_delivery_at,
    ifnull(stock.last.par, stock.greatest_par) as par_level,
    ifnull(stock.last.low, stock.greatest_low) as low_stock_level,
    ifnull(stock_quantity <= ifnull(stock.last.low, stock.greatest_low), false) as is_due,
    stock.last.quantity < 0 as is_book_wrong
from stock
left join {{ ref('dim_site') }} as site on site.site_id = stock.store_id and site.is_current
left join {{ ref('dim_product') }} as product
    on product.product_id = stock.product_id and product.is_current
