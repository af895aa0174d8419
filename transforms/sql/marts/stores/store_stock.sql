{{ config(unique_key=['store_id', 'product_id', 'location']) }}

-- What each store has of each product now, by its last event, when it was last counted and
-- delivered, and whether an order is due. A table of the current state: it needs its own last row
-- and what is new.
with events as (
    select
        store_id,
        product_id,
        coalesce(location, 'shelf') as location,
        event_time,
        event_type,
        stock_quantity,
        unit,
        par_level,
        low_stock_level,
        row_number() over (
            partition by store_id, product_id, coalesce(location, 'shelf')
            order by event_time desc, _source desc, _kafka_partition desc, _offset desc
        ) as number_from_last
    from {{ ref('stg_store_inventory') }}
),

dated as (
    select
        store_id,
        product_id,
        location,
        max(case when event_type = 'store.inventory.counted' then event_time end)
            as last_counted_at,
        max(case when event_type = 'store.inventory.delivery' then event_time end)
            as last_delivery_at,
        max(par_level) as par_level_max,
        max(low_stock_level) as low_stock_level_max
    from events
    group by store_id, product_id, location
)

select
    event.store_id,
    site.site_name,
    site.region,
    event.product_id,
    product.product_name,
    event.location,
    event.stock_quantity,
    event.unit,
    event.event_time as changed_at,
    dated.last_counted_at,
    dated.last_delivery_at,
    coalesce(event.par_level, dated.par_level_max) as par_level,
    coalesce(event.low_stock_level, dated.low_stock_level_max) as low_stock_level,
    coalesce(
        event.stock_quantity <= coalesce(event.low_stock_level, dated.low_stock_level_max), false
    ) as is_due,
    event.stock_quantity < cast(0 as decimal(18, 4)) as is_book_wrong
from events as event
inner join dated
    on dated.store_id = event.store_id
    and dated.product_id = event.product_id
    and dated.location = event.location
left join {{ ref('dim_site') }} as site
    on site.site_id = event.store_id
    and site.is_current
left join {{ ref('dim_product') }} as product
    on product.product_id = event.product_id
    and product.is_current
where event.number_from_last = 1
